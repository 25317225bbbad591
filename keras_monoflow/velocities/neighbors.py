"""The rows that attract or repel generated rows, and how much each counts."""

import dataclasses
from typing import Any

from keras import ops

from keras_monoflow.typing import Tensor

#: The logarithm of a weight of 0; infinity less infinity would be NaN.
LOG_ZERO = -1e30


@dataclasses.dataclass(frozen=True)
class Neighbors:
    """Rows, and a weight for each pair of a generated row and one of them.

    Args:
        points: Tensor `(m, d)`.
        weights: Tensor `(n, m)`, at least 0, or `None` for 1 everywhere.
    """

    points: Any
    weights: Any = None

    def mean(self, values: Tensor) -> Tensor:
        """Returns the weighted mean of `(..., n, m)` over the last axis; 0 for
        rows without a neighbor."""
        if self.weights is None:
            return ops.mean(values, axis=-1)
        total = ops.sum(self.weights, axis=-1)
        return ops.sum(self.weights * values, axis=-1) / _or_one(total)

    def shares(self, like: Tensor) -> Tensor:
        """Returns weights that add up to 1 over the last axis, `(n, m)`, or
        `(1, 1)` where all are the same.

        Args:
            like: Tensor `(n, m)`.
        """
        if self.weights is None:
            count = ops.cast(ops.shape(like)[-1], like.dtype)
            return ops.ones_like(like[:1, :1]) / count
        total = ops.sum(self.weights, axis=-1, keepdims=True)
        return self.weights / _or_one(total)

    def log_shares(self, like: Tensor) -> Tensor:
        """Returns the logarithms of the shares, of their shape."""
        shares = self.shares(like)
        positive = shares > 0
        logs = ops.log(ops.where(positive, shares, 1.0))
        return ops.where(positive, logs, LOG_ZERO)

    def relative_log_shares(self, like: Tensor) -> Tensor:
        """Returns the logarithms of the shares times the number of rows that
        count, `(n, m)`: 0 where all count alike."""
        if self.weights is None:
            return ops.zeros_like(like)
        count = ops.sum(ops.cast(self.weights > 0, like.dtype), -1, True)
        return self.log_shares(like) + ops.log(_or_one(count))

    def exist(self, like: Tensor) -> Tensor:
        """Returns 1 for generated rows that have a neighbor, else 0, `(n, 1)`.

        Args:
            like: Tensor `(n, m)`.
        """
        if self.weights is None:
            return ops.ones_like(like[:, :1])
        total = ops.sum(self.weights, axis=-1, keepdims=True)
        return ops.cast(total > 0, like.dtype)


def _or_one(total: Tensor) -> Tensor:
    return ops.where(total > 0, total, ops.ones_like(total))


def mean_over_pairs(values: list[Tensor], neighbors: list[Neighbors]) -> Tensor:
    """Returns the mean of values over all pairs that count, a scalar.

    Args:
        values: Tensors `(n, m)`, one for each of `neighbors`.
        neighbors: `Neighbors` of the same generated rows.
    """
    total, count = 0.0, 0.0
    for value, rows in zip(values, neighbors):
        if rows.weights is None:
            total = total + ops.sum(value)
            count = count + ops.cast(ops.size(value), value.dtype)
        else:
            counts = ops.cast(rows.weights > 0, value.dtype)
            total = total + ops.sum(counts * value)
            count = count + ops.sum(counts)
    return total / ops.maximum(count, 1.0)
