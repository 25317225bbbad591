"""The labels of conditional networks: their checks and one-hot rows."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_monoflow.typing import Tensor

LABEL_INPUT = 'keras.Input((), dtype="int32")'


def check_label_shape(shape: Sequence[int | None], owner: str) -> None:
    """Raises an error unless labels have the shape `(batch,)`."""
    if len(shape) != 1:
        raise ValueError(
            f"{owner} takes integer labels of shape (batch,). Received: labels "
            f"of shape {tuple(shape)}. Make their input with `{LABEL_INPUT}`, "
            "and give integers, not one-hot vectors."
        )


def check_pair(input_shape: Any, owner: str, first: str) -> tuple[Any, ...]:
    """Returns the shape of the first of two inputs, after a check of both."""
    pair = isinstance(input_shape, (list, tuple)) and len(input_shape) == 2
    if not pair or not all(isinstance(s, (list, tuple)) for s in input_shape):
        raise ValueError(
            f"{owner} must be called on a list `[{first}, labels]`. Received: "
            f"an input of shape {input_shape}."
        )
    check_label_shape(input_shape[1], owner)
    return tuple(input_shape[0])


def one_hot(labels: Tensor, classes: int, dtype: str) -> Tensor:
    """Returns one row for each label: one 1 and zeros, or all NaN.

    A product with these rows picks rows of a matrix. Unlike a gather it has
    dense gradients and the same second derivatives on every backend, and it
    treats labels out of range alike: their rows are NaN.
    """
    if not keras.backend.is_int_dtype(labels.dtype):
        raise TypeError(
            f"Labels must be integers. Received: labels of dtype "
            f"{keras.backend.standardize_dtype(labels.dtype)}. Make their "
            f"input with `{LABEL_INPUT}`, or cast them."
        )
    labels = ops.cast(ops.expand_dims(labels, -1), "int32")
    hits = ops.equal(labels, ops.arange(classes, dtype="int32"))
    known = ops.any(hits, axis=-1, keepdims=True)
    return ops.where(known, ops.cast(hits, dtype), float("nan"))
