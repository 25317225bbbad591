"""Elementwise functions that stay accurate where the plain formula does not."""

from collections.abc import Callable

import keras
from keras import ops

from keras_monoflow.typing import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Converts `x` to a tensor of at least single precision.

    Half precision, integers and Python numbers become float32; float64 stays.
    """
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    return x if dtype in ("float32", "float64") else ops.cast(x, "float32")


def mean(x: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean of all values, which `ops.mean` rounds to float32 on torch.

    Args:
        x: Tensor `(n, ...)`.
        weight: Weights of the rows `(n,)`, whose mean is 1, or `None`.
    """
    size = ops.cast(ops.size(x), x.dtype)
    return ops.sum(weigh_rows(x, weight)) / size


def one_number(x: Tensor, what: str) -> Tensor:
    """Returns `x`, after a check that it is a scalar.

    Raises:
        ValueError: If it is not. Its gradient would be that of the sum.
    """
    shape = tuple(getattr(x, "shape", ()))
    if shape:
        raise ValueError(
            f"The {what} must be one number, such as a mean over samples. "
            f"Received: a tensor of shape {shape}."
        )
    return x


def weigh_rows(x: Tensor, weight: Tensor | None) -> Tensor:
    """Rows `(n, ...)` times their weights `(n,)`, or as they are for `None`."""
    if weight is None:
        return x
    shape = (-1,) + (1,) * (len(x.shape) - 1)
    return x * ops.reshape(ops.cast(weight, x.dtype), shape)


def within(
    x: Tensor, lower: float | None = None, upper: float | None = None
) -> Tensor:
    """`x` moved into `[lower, upper]`.

    Keeps float64, which `ops.maximum` with a number loses on torch, and has
    the gradient 1 at the very ends on every backend.
    """
    if lower is not None:
        x = ops.where(x < lower, lower, x)
    if upper is not None:
        x = ops.where(x > upper, upper, x)
    return x


def expm1(x: Tensor) -> Tensor:
    """`exp(x) - 1` with an accurate gradient.

    JAX and torch take the gradient to be `expm1(x) + 1`, which loses
    `exp(x)` for `x << 0`.
    """
    is_small = ops.abs(x) < 0.5
    small = ops.where(is_small, x, 0.0)
    large = ops.where(is_small, 0.0, x)
    return ops.where(is_small, ops.expm1(small), ops.exp(large) - 1.0)


def expm1_ratio(a: float, x: Tensor) -> Tensor:
    """`(exp(a x) - 1) / a` for a Python float `a`, its limit `x` at `a = 0`."""
    return x if abs(a) < 1e-15 else expm1(a * x) / a


def log1p_remainder(x: Tensor, order: int) -> Tensor:
    """`log(1 + x)` minus its Taylor polynomial of degree `order` at 0.

    The plain difference cancels for small `x`, and its gradient even more;
    here the tail of the series is summed instead.

    Args:
        x: A tensor with values above -1.
        order: 1 or 2.
    """
    is_small = ops.abs(x) < 0.1
    small = ops.where(is_small, x, ops.zeros_like(x))
    large = ops.where(is_small, ops.ones_like(x), x)
    tail = ops.zeros_like(x)
    for k in range(order + 16, order, -1):
        tail = tail * small + (-1.0) ** (k + 1) / k
    tail = tail * small ** (order + 1)
    polynomial = large if order == 1 else large - large**2 / 2
    return ops.where(is_small, tail, ops.log1p(large) - polynomial)


def continue_linearly(
    fn: Callable[[Tensor], Tensor],
    slope: Callable[[float], float],
    x: Tensor,
    lower: float | None = None,
    upper: float | None = None,
) -> Tensor:
    """`fn` inside `[lower, upper]`, its tangent outside.

    The result has a continuous derivative, and `fn` is only evaluated where
    it is defined, so that no infinity or NaN reaches a gradient.

    Args:
        fn: Elementwise function of a tensor.
        slope: Function that gives the derivative of `fn` at a Python float.
        x: A tensor.
        lower: Python float, or `None` for no lower end.
        upper: Python float, or `None` for no upper end.
    """
    value = fn(within(x, lower, upper))
    if lower is not None:
        value = value + slope(lower) * ops.where(x < lower, x - lower, 0.0)
    if upper is not None:
        value = value + slope(upper) * ops.where(x > upper, x - upper, 0.0)
    return value
