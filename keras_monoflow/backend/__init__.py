"""What differs between TensorFlow, JAX and PyTorch, one folder for each.

Each folder offers the same functions in three files: `engine.py` (gradients,
loops, training steps; documented in `keras_monoflow.gradients`),
`replicas.py` and `processes.py` (documented in the files of these names here).
Engines also have `exact_matmul(a, b)`, a matrix product in the whole precision
of its operands, which accelerators round by default.
The folder is chosen once, as Keras chooses its backend. Everything else in the
package is written once, statefully, as one would write it for TensorFlow.
"""

import importlib

import keras

_BACKENDS = ("tensorflow", "jax", "torch")

if keras.backend.backend() not in _BACKENDS:
    raise ImportError(
        "keras_monoflow runs on the TensorFlow, JAX and PyTorch backends of "
        f"Keras. Received: KERAS_BACKEND={keras.backend.backend()!r}."
    )

#: The folder of the backend that runs.
framework = importlib.import_module(
    f"keras_monoflow.backend.{keras.backend.backend()}"
)
