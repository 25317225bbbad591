"""TensorFlow's private table of derivatives, if it is where it was.

TensorFlow has no public way to say that an operation has no second derivative.
"""

from keras_monoflow.backend.warn_once import warn_once

#: Under this key an entry holds the function.
FUNCTION = "type"


def entries(operations: tuple[str, ...]) -> dict[str, dict]:
    """Returns the entry of each operation, and warns if there are none."""
    try:
        from tensorflow.python.framework import ops

        table = ops.gradient_registry._registry
        found = {name: table[name] for name in operations}
        if all(callable(entry[FUNCTION]) for entry in found.values()):
            return found
    except (ImportError, AttributeError, KeyError, TypeError):
        pass
    warn_once(
        "Steps with a gradient penalty take up to a third longer: zeros are "
        "taken back through all layers as if they were gradients",
        "tensorflow.python.framework.ops.gradient_registry",
    )
    return {}
