"""Derivatives of gradients on PyTorch, without products with zeros.

The second derivative of a ReLU is zero, and so is that of an average. PyTorch
takes both back through all layers below, as tensors of zeros.

What is private in PyTorch is looked up when this module is imported, which
fails if it has moved.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_leaky_relu_backward = torch.ops.aten.leaky_relu_backward
_threshold_backward = torch.ops.aten.threshold_backward
_avg_pool2d_backward = torch.ops.aten.avg_pool2d_backward


class SkipZeroSecondDerivatives(TorchFunctionMode):
    """Inside, ReLUs and averages of images have no second derivative."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        replacement = _REPLACEMENTS.get(function)
        if replacement is None or kwargs.get("inplace"):
            return function(*args, **kwargs)
        return replacement(*args, **kwargs)


class _Map(torch.autograd.Function):
    """`map(tensor, x)`, linear in the tensor; `x` says in which piece it is."""

    @staticmethod
    def forward(tensor, x, map, transposed):
        return map(tensor, x)

    @staticmethod
    def setup_context(context, inputs, output):
        _, x, context.map, context.transposed = inputs
        context.save_for_backward(x)
        context.set_materialize_grads(False)

    @staticmethod
    def backward(context, gradient):
        if gradient is None:
            return None, None, None, None
        (x,) = context.saved_tensors
        maps = context.transposed, context.map
        return _Map.apply(gradient, x, *maps), None, None, None


def _in_pieces(x, derivative, transposed):
    """A function that is linear in pieces, given by its derivative at `x`.

    Its value is the derivative applied to `x` itself.
    """
    return _Map.apply(x, x.detach(), derivative, transposed)


def _leaky_relu(x, negative_slope=0.01, inplace=False):
    def derivative(tensor, x):
        return _leaky_relu_backward(tensor, x, negative_slope, False)

    # It multiplies each number by a slope: the transposed map is the same.
    return _in_pieces(x, derivative, derivative)


def _relu(x, inplace=False):
    def derivative(tensor, x):
        return _threshold_backward(tensor, x, 0)

    return _in_pieces(x, derivative, derivative)


def _average(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    options = (padding, ceil_mode, count_include_pad, divisor_override)
    size, stride = (
        (side, side) if isinstance(side, int) else side
        for side in (kernel_size, stride or kernel_size)
    )
    if isinstance(padding, int):
        options = ((padding, padding), *options[1:])

    def average(tensor, x):
        return functional.avg_pool2d(tensor, size, stride, *options)

    def transposed(tensor, x):
        return _avg_pool2d_backward(tensor, x, size, stride, *options)

    return _in_pieces(x, average, transposed)


_REPLACEMENTS: dict[Any, Callable] = {
    functional.leaky_relu: _leaky_relu,
    functional.relu: _relu,
    torch.relu: _relu,
    torch.Tensor.relu: _relu,
    functional.avg_pool2d: _average,
}
