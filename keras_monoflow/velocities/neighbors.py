"""The rows that attract or repel generated rows, and how much each counts."""

import dataclasses
import functools
from typing import Any

from keras import ops

from keras_monoflow.typing import Tensor
from keras_monoflow.velocities.differences import (
    safe_sqrt,
    squared_distances,
    weighted_differences,
)

#: The logarithm of a weight of 0; infinity less infinity would be NaN.
LOG_ZERO = -1e30


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbors:
    """Generated rows, others, and a weight for each pair of them.

    Args:
        y: The generated rows, `(n, d)`.
        points: The others, `(m, d)`.
        weights: Tensor `(n, m)`, at least 0, or `None` for 1 everywhere.
    """

    y: Any
    points: Any
    weights: Any = None

    @functools.cached_property
    def squared(self) -> Tensor:
        """The squared distances, `(n, m)`."""
        return squared_distances(self.y, self.points)

    @functools.cached_property
    def distances(self) -> Tensor:
        """The distances, `(n, m)`, at least 1e-15."""
        return safe_sqrt(self.squared)

    def pull(self, weights: Tensor) -> Tensor:
        """Returns `sum_j weights_ij (points_j - y_i)`, `(n, d)`."""
        return weighted_differences(weights, self.y, self.points)

    def mean(self, values: Tensor) -> Tensor:
        """Returns the weighted mean of `(n, m)` over the last axis; 0 for
        rows without a neighbor."""
        if self.weights is None:
            return ops.mean(values, axis=-1)
        total = ops.sum(self.weights, axis=-1)
        return ops.sum(self.weights * values, axis=-1) / _or_one(total)

    def total(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the sum of `(n, m)` over the pairs that count, and their
        number, `(n,)` each."""
        if self.weights is None:
            total = ops.sum(values, axis=-1)
            count = ops.cast(ops.shape(values)[-1], values.dtype)
            return total, count * ops.ones_like(total)
        counts = ops.cast(self.weights > 0, values.dtype)
        return ops.sum(counts * values, axis=-1), ops.sum(counts, axis=-1)

    def shares(self) -> Tensor:
        """Returns weights that add up to 1 over the last axis, `(n, m)`, or
        `(1, 1)` where all are the same."""
        if self.weights is None:
            count = ops.cast(ops.shape(self.points)[0], self.y.dtype)
            return ops.ones_like(self.y[:1, :1]) / count
        total = ops.sum(self.weights, axis=-1, keepdims=True)
        return self.weights / _or_one(total)

    def log_shares(self) -> Tensor:
        """Returns the logarithms of the shares, of their shape."""
        return log_or_zero(self.shares())

    def relative_log_shares(self) -> Tensor:
        """Returns the logarithms of the shares times the number of rows that
        count, of their shape: 0 where all count alike."""
        if self.weights is None:
            return ops.zeros_like(self.y[:1, :1])
        count = ops.sum(ops.cast(self.weights > 0, self.y.dtype), -1, True)
        return self.log_shares() + ops.log(_or_one(count))

    def exist(self) -> Tensor:
        """Returns 1 for rows that have a neighbor, else 0, `(n, 1)`."""
        if self.weights is None:
            return ops.ones_like(self.y[:, :1])
        total = ops.sum(self.weights, axis=-1, keepdims=True)
        return ops.cast(total > 0, self.y.dtype)


def log_or_zero(weights: Tensor) -> Tensor:
    """Returns logarithms; `LOG_ZERO` where a weight is 0."""
    positive = weights > 0
    logs = ops.log(ops.where(positive, weights, ops.ones_like(weights)))
    return ops.where(positive, logs, LOG_ZERO)


def _or_one(total: Tensor) -> Tensor:
    return ops.where(total > 0, total, ops.ones_like(total))
