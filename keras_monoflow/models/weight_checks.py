"""Checks of weights, and the weights of classes."""

from typing import Any

import numpy as np

from keras_monoflow.typing import Array


def check_weights(weight: Any, rows: int | None = None) -> None:
    """Checks weights of samples, and their values if they are an array.

    Args:
        weight: Array or tensor `(rows,)` or `(rows, 1)`.
        rows: How many samples there are, if known.
    """
    shape = tuple(getattr(weight, "shape", ()))
    is_row = len(shape) == 1 or shape[1:] == (1,)
    if not is_row or rows not in (None, shape[0]):
        wanted = "" if rows is None else f", where there should be {rows} rows"
        raise ValueError(
            "`sample_weight` must be an array of one number for each sample. "
            f"Received: shape {shape or type(weight).__name__}{wanted}."
        )
    if not isinstance(weight, np.ndarray):
        return
    good = np.isfinite(weight) & (weight >= 0)
    if not good.all():
        raise ValueError(
            "`sample_weight` must be finite and at least 0. Received: "
            f"{weight[~good].ravel()[0]}."
        )
    if not weight.any():
        raise ValueError(
            "`sample_weight` must not be 0 for all samples: none would count."
        )


def mean_weight(weight: Any) -> float | None:
    """Returns the mean of an array of weights, or `None` where there is none
    or all are 0."""
    if weight is None:
        return None
    return float(np.mean(weight, dtype="float64")) or None


def weights_of_classes(y: Any, class_weight: Any) -> Array:
    """Returns the weight of each sample, 1 for classes without one.

    Args:
        y: Class numbers `(n,)` or `(n, 1)`, or one-hot rows.
        class_weight: Dictionary from class numbers to weights.

    Raises:
        TypeError: If it is something else.
        ValueError: If `y` holds no class numbers, or a class has no sample.
    """
    if not isinstance(class_weight, dict):
        raise TypeError(
            "`class_weight` must be a dictionary from class numbers to "
            f"weights. Received: class_weight={class_weight!r}."
        )
    y = None if y is None else np.asarray(y)
    one_hot = (
        y is not None
        and y.ndim == 2
        and y.shape[1] > 1
        and np.all((y == 0) | (y == 1))
        and np.all(y.sum(1) == 1)
    )
    if one_hot:
        y = y.argmax(1)
    if y is None or y.dtype.kind not in "iu" or y[:1].size != 1:
        raise ValueError(
            "`class_weight` needs an array of classes `y`, integers or one-hot "
            "rows. Of a data set, let the batches be (samples, labels, "
            "weights). Received: "
            + ("y=None." if y is None else f"y of shape {y.shape}.")
        )
    y = y.reshape(-1)
    unknown = sorted(set(class_weight) - set(np.unique(y).tolist()))
    if unknown:
        raise ValueError(
            f"`class_weight` has a weight for the class {unknown[0]!r}, of "
            f"which `y` has no sample. Received: class_weight={class_weight!r}."
        )
    weights = np.ones(len(y), "float32")
    for name, weight in class_weight.items():
        weights[y == name] = weight
    return weights
