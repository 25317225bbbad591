"""Rows and their labels, as velocities take them."""

from typing import Any

import numpy as np
from keras import ops

from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Array, Tensor


def as_rows(x: Tensor, name: str, like: Tensor | None = None) -> Tensor:
    """Returns rows as `(n, d)`, in at least float32, without gradient."""
    x = ops.stop_gradient(at_least_float32(x))
    if len(x.shape) == 0 or x.shape[0] == 0:
        raise ValueError(
            f"`{name}` must hold at least one row. Received: {name} of shape "
            f"{tuple(x.shape)}."
        )
    size = int(np.prod(x.shape[1:], dtype="int64"))
    x = ops.reshape(x, (-1, size))
    if like is not None:
        if size != like.shape[1]:
            raise ValueError(
                f"Rows of `{name}` must have the shape of those of `generated`."
                f" Received: {size} numbers a row and {like.shape[1]}."
            )
        x = ops.cast(x, like.dtype)
    return x


def as_labels(labels: Tensor, rows: Tensor, name: str) -> Tensor:
    """Returns labels as `(n, numbers)`."""
    labels = ops.convert_to_tensor(labels)
    numbers = int(np.prod(labels.shape[1:], dtype="int64"))
    if None not in (labels.shape[0], rows.shape[0]):
        count = rows.shape[0]
        if labels.shape[0] != count:
            raise ValueError(
                f"`{name}` must hold a label for each row. Received: "
                f"{labels.shape[0]} labels for {count} rows."
            )
    return ops.reshape(labels, (-1, numbers))


def check_sizes(*labels: Tensor) -> None:
    """Checks that labels, `(n, numbers)`, are of the same kind."""
    sizes = [of.shape[1] for of in labels]
    if len(set(sizes)) > 1:
        raise ValueError(
            "Labels must have the same shape for generated, real and other "
            f"rows. Received: labels of {sizes} numbers. Pass class numbers to "
            "all of them, or vectors to all of them."
        )


def check_classes(generated_labels: Any, real_labels: Any) -> None:
    """Checks that there are real rows of each class, where that is known.

    (Tensors may have no values yet, or values on a device. Rows without any do
    not move.)
    """
    values = generated_labels, real_labels
    if not all(isinstance(a, (np.ndarray, list, tuple)) for a in values):
        return
    generated_labels, real_labels = map(np.asarray, values)
    missing = [
        label
        for label in np.unique(generated_labels, axis=0)
        if not np.any(np.all(_flat(real_labels == label), axis=1))
    ]
    if missing:
        raise ValueError(
            f"Generated rows have the label {missing[0]}, and no real row has "
            "it: nothing would attract them. Take larger batches, or batches "
            "with rows of each label."
        )


def _flat(x: Array) -> Array:
    return np.reshape(x, (len(x), -1))


def equal_labels(labels: Tensor, others: Tensor, dtype: Any) -> Tensor:
    """Returns 1 for pairs of equal labels, else 0, `(n, m)`."""
    others = ops.cast(others, labels.dtype)
    same = ops.all(labels[:, None] == others[None], axis=-1)
    return ops.cast(same, dtype)


def without_own(weights: Tensor | None, rows: Tensor, y: Tensor) -> Tensor:
    """Returns weights that are 0 for a row and itself, `(rows, n)`.

    Args:
        weights: Weights for some rows, `(rows, n)`, or `None` for 1.
        rows: Their numbers.
        y: All rows, `(n, d)`.
    """
    others = ops.cast(rows[:, None] != ops.arange(ops.shape(y)[0]), y.dtype)
    return others if weights is None else weights * others


def check_several(y: Tensor) -> None:
    """Checks that there is a row that can repel another."""
    if y.shape[0] == 1:
        raise ValueError(
            "A single generated row has no others that repel it. Pass a second "
            "generated batch as `other`, or more rows. Received: generated of "
            f"shape {tuple(y.shape)}."
        )
