"""Ranges of values and of axes."""

from typing import Any, TypeAlias

import numpy as np

from keras_monoflow.arguments import check_range
from keras_monoflow.typing import Array

#: `((x_low, x_high), (y_low, y_high))`.
Limits: TypeAlias = tuple[tuple[float, float], tuple[float, float]]

_MARGIN = 0.25


def check_limits(limits: Any) -> Limits:
    """Returns `((x_low, x_high), (y_low, y_high))` as floats.

    Args:
        limits: Such a pair of pairs, or one pair for both axes.

    Raises:
        ValueError: If it is neither, or a pair does not increase.
    """
    try:
        pairs = np.broadcast_to(np.asarray(limits, dtype="float64"), (2, 2))
    except (TypeError, ValueError):
        raise ValueError(
            "`limits` must be `(low, high)` or "
            "`((x_low, x_high), (y_low, y_high))`. "
            f"Received: limits={limits!r}"
        ) from None
    x, y = (check_range("limits", pair) for pair in pairs.tolist())
    return x, y


def square_around(points: Array) -> Limits:
    """Returns the limits of a square around points, with some margin.

    Args:
        points: Array of shape `(n, 2)`; rows that are not finite are left out.
    """
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return ((-1.0, 1.0), (-1.0, 1.0))
    low, high = points.min(axis=0), points.max(axis=0)
    half = float((0.5 + _MARGIN) * (high - low).max()) or 1.0
    x, y = ((low + high) / 2).tolist()
    return (x - half, x + half), (y - half, y + half)
