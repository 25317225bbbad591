"""Distances between two sets of rows, and weighted sums of differences.

Nothing here makes an array of all differences: `(n, m)` is the largest.
"""

from keras import ops

from keras_monoflow.backend import framework
from keras_monoflow.typing import Tensor

#: Up to here each coordinate is subtracted by itself, which is exact.
FEW_DIMENSIONS = 16

#: Distances are at least this share of the mean of the squared lengths' root:
#: expanded squares of float32 tell nothing below it.
_FLOOR = 1e-4


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Returns `|a_i - b_j|^2`, `(n, m)`.

    In few dimensions by subtraction. In many by `|a|^2 - 2 a b + |b|^2`, in
    full precision and around the mean of `b`: without both, all is lost away
    from the origin.

    Args:
        a: Tensor `(n, d)`.
        b: Tensor `(m, d)`, of the same dtype.
    """
    if a.shape[1] <= FEW_DIMENSIONS:
        total = 0.0
        for k in range(a.shape[1]):
            total = total + (a[:, k, None] - b[None, :, k]) ** 2
        return total
    center = ops.mean(b, axis=0, keepdims=True)
    a, b = a - center, b - center
    squares_a = ops.sum(a**2, axis=1, keepdims=True)
    squares_b = ops.sum(b**2, axis=1, keepdims=True)
    products = framework.engine.exact_matmul(a, ops.transpose(b))
    squared = squares_a + ops.transpose(squares_b) - 2 * products
    return ops.maximum(squared, _FLOOR**2 * ops.mean(squares_b))


def weighted_differences(weights: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Returns `sum_j weights_ij (b_j - a_i)`, `(n, d)`.

    Args:
        weights: Tensor `(n, m)`.
        a: Tensor `(n, d)`.
        b: Tensor `(m, d)`.
    """
    if a.shape[1] <= FEW_DIMENSIONS:
        columns = [
            ops.sum(weights * (b[None, :, k] - a[:, k, None]), axis=1)
            for k in range(a.shape[1])
        ]
        return ops.stack(columns, axis=1)
    center = ops.mean(b, axis=0, keepdims=True)
    a, b = a - center, b - center
    attracted = framework.engine.exact_matmul(weights, b)
    return attracted - ops.sum(weights, axis=1, keepdims=True) * a


def safe_sqrt(squared: Tensor) -> Tensor:
    """Returns distances, at least 1e-15: differences of 0 stay 0 if one
    divides them by it."""
    return ops.sqrt(ops.maximum(squared, 1e-30))
