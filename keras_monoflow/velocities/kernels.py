"""Kernels: how much two rows at a distance have to do with each other."""

from collections.abc import Callable

from keras import ops

from keras_monoflow.registry import lookup
from keras_monoflow.typing import Tensor
from keras_monoflow.velocities.differences import safe_sqrt


class Kernel:
    """A positive function `k` of the distance `d`, with a bandwidth `s`.

    Both methods take squared distances `(n, m)` and a bandwidth, a number or a
    scalar tensor, and return a tensor `(n, m)`.
    """

    def log(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        """Returns `log k`."""
        raise NotImplementedError

    def pull(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        """Returns `w` of `grad_y log k(y, x) = w (x - y)`."""
        raise NotImplementedError


class Gaussian(Kernel):
    """`k = exp(-d^2 / (2 s^2))`."""

    def log(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        return -squared / (2 * bandwidth**2)

    def pull(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        return ops.ones_like(squared) / bandwidth**2


class Laplace(Kernel):
    """`k = exp(-d / s)`."""

    def log(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        return -safe_sqrt(squared) / bandwidth

    def pull(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        return 1.0 / (bandwidth * safe_sqrt(squared))


class Student(Kernel):
    """`k = 1 / (1 + d^2 / s^2)`, whose tails reach far."""

    def log(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        return -ops.log1p(squared / bandwidth**2)

    def pull(self, squared: Tensor, bandwidth: Tensor) -> Tensor:
        return 2.0 / (bandwidth**2 + squared)


KERNELS: dict[str, Callable[[], Kernel]] = {
    "gaussian": Gaussian,
    "laplace": Laplace,
    "student": Student,
}


def get(kernel: str) -> Kernel:
    """Returns a kernel by its name.

    Raises:
        TypeError: If it is not a string.
        ValueError: If the name is unknown.
    """
    return lookup(kernel, KERNELS, "kernel")()
