"""Derivatives of gradients on TensorFlow, without products with zeros.

A ReLU is linear in pieces, so its second derivative is zero. TensorFlow makes
a tensor of these zeros, and takes it back through all layers below as if it
were a gradient: about a quarter of the work of a critic step with a penalty.
"""

import contextlib

from tensorflow.python.framework import ops as framework

#: Operations with the inputs (gradient, x) that do not change with x, but for
#: jumps.
_OPERATIONS = ("ReluGrad", "Relu6Grad", "LeakyReluGrad")


def _only_the_first(gradient_of):
    def gradient(operation, cotangent):
        return gradient_of(operation, cotangent)[0], None

    return gradient


def _entries():
    """Where TensorFlow keeps the derivative of each operation."""
    registry = getattr(framework, "gradient_registry", None)
    table = getattr(registry, "_registry", {})
    return {
        name: table[name]
        for name in _OPERATIONS
        if "type" in table.get(name, ())
    }


_ENTRIES = _entries()
_WITH_ZEROS = {name: entry["type"] for name, entry in _ENTRIES.items()}
_WITHOUT = {name: _only_the_first(f) for name, f in _WITH_ZEROS.items()}


@contextlib.contextmanager
def no_zeros():
    """Inside, a tape takes second derivatives of ReLUs for unconnected.

    TensorFlow has no public way to say so. Where its table of derivatives
    looks different from what this module expects, nothing changes.
    """
    _enter(_WITHOUT)
    try:
        yield
    finally:
        _enter(_WITH_ZEROS)


def _enter(functions):
    for name, function in functions.items():
        _ENTRIES[name]["type"] = function
