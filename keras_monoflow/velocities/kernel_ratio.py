"""The gradient of a mapped log density ratio of two kernel densities."""

import math
from typing import Any

from keras import ops

from keras_monoflow import mappings
from keras_monoflow.mappings import Mapping
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Config, Logs, Seed, Tensor
from keras_monoflow.velocities import kernels
from keras_monoflow.velocities.neighbors import Neighbors
from keras_monoflow.velocities.pairs import Pairs
from keras_monoflow.velocities.velocity import Velocity, check_bandwidths


class KernelVelocity(Velocity):
    """The base of velocities from kernels.

    Args:
        kernel: `"gaussian"`, `"laplace"` or `"student"`.
        bandwidths: A positive number, or several of which the kernels are
            averaged.
        relative: Whether bandwidths are in units of the mean distance between
            generated rows and real ones, anew in each call, or else in those
            of the data.
    """

    is_field = True
    works_in_blocks = True

    def __init__(
        self, kernel: str, bandwidths: Any, relative: bool = True
    ) -> None:
        self.name = kernel
        self.kernel = kernels.get(kernel)
        owner = type(self).__name__
        self.bandwidths = check_bandwidths(owner, "bandwidths", bandwidths)
        self.relative = bool(relative)

    def scaled_bandwidths(self, pairs: Pairs) -> list:
        """Returns the bandwidths in units of the data."""
        if not self.relative:
            return list(self.bandwidths)
        # Those to generated rows would let the unit shrink with the rows.
        unit = pairs.unit(lambda real, other: [(real, real.distances)])
        return [b * unit for b in self.bandwidths]

    def get_config(self) -> Config:
        return {
            "kernel": self.name,
            "bandwidths": list(self.bandwidths),
            "relative": self.relative,
        }


@VELOCITIES.register("kernel_ratio")
class KernelRatio(KernelVelocity):
    """`h'(u) grad u`, with `u` the log ratio of two kernel density estimates.

        u(y) = log mean_i k(y, x_i) - log mean_j k(y, y'_j)

    over real rows `x` and a second generated batch `y'`. This is MonoFlow
    without a discriminator: with `h = identity` the rows descend KL(q|p), and
    every mapping is another divergence. The gradient is the difference of two
    mean shifts, each weighted by the kernel; for a Gaussian kernel,
    `s^2 grad u` is the mean-shift form of drifting.

    Logs `generator_loss`, `-E h(u)` over the generated rows, and
    `log_ratio_fake`, their mean `u`.

    Args:
        kernel: `"gaussian"`, `exp(-d^2 / (2 s^2))`; `"laplace"`, `exp(-d / s)`;
            or `"student"`, `1 / (1 + d^2 / s^2)`, with the distance `d`.
        bandwidths: The positive `s`, or several of which the kernels are
            averaged.
        mapping: The strictly increasing `h`: a name, a
            `keras_monoflow.mappings.Mapping`, or a function.
        relative: Whether bandwidths are in units of the mean distance between
            generated rows and real ones, or else in those of the data.

    Raises:
        TypeError, ValueError: If a name is unknown, or a bandwidth is not
            positive.

    Source: Yi, Zhu and Liu 2023 (MonoFlow), arXiv 2302.01075, for the flow;
    arXiv 2603.10592 for mappings of kernel ratios.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    y, other = rng.normal(size=(2, 64, 2)).astype("float32")
    x = rng.normal(size=(64, 2)).astype("float32") + 2.0
    velocity = kmf.velocities.KernelRatio("student", mapping="arcsinh")
    velocity(y, x, other).shape  # (64, 2)
    ```
    """

    log_names = ("generator_loss", "log_ratio_fake")

    def __init__(
        self,
        kernel: str = "student",
        bandwidths: Any = (0.2,),
        mapping: Any = "identity",
        relative: bool = True,
    ) -> None:
        super().__init__(kernel, bandwidths, relative)
        self.mapping: Mapping = mappings.get(mapping)
        if self.mapping.needs_real:
            raise ValueError(
                "`mapping` of KernelRatio must be a function of the log ratio "
                "of a sample alone; 'relativistic' is for models with a "
                "discriminator. Take another, such as 'non_saturating', which "
                f"is like it. Received: mapping={mapping!r}."
            )

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        u, gradient = self.log_ratio(pairs)
        logs = {
            "generator_loss": -ops.mean(self.mapping(u)),
            "log_ratio_fake": ops.mean(u),
        }
        return self.mapping.derivative(u)[:, None] * gradient, logs

    def log_ratio(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Returns `u`, `(n,)`, and its gradient, `(n, d)`."""
        bandwidths = self.scaled_bandwidths(pairs)

        def of_rows(real: Neighbors, other: Neighbors) -> tuple[Tensor, Tensor]:
            p, grad_p = self._log_density(real, bandwidths)
            q, grad_q = self._log_density(other, bandwidths)
            # Where one side has no rows, there is no ratio and no motion.
            exist = real.exist() * other.exist()
            return (p - q) * exist[:, 0], (grad_p - grad_q) * exist

        return pairs.map(of_rows)

    def _log_density(
        self, side: Neighbors, bandwidths: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Returns the log of the weighted mean of kernels, and its gradient."""
        squared, log_shares = side.squared, side.log_shares()
        logs = [self.kernel.log(squared, s) + log_shares for s in bandwidths]
        total = ops.logsumexp(
            ops.stack([ops.logsumexp(log, axis=1) for log in logs]), axis=0
        )
        weights = sum(
            ops.exp(log - total[:, None]) * self.kernel.pull(squared, s)
            for log, s in zip(logs, bandwidths)
        )
        return total - math.log(len(bandwidths)), side.pull(weights)

    def user_objects(self) -> list[tuple[Any, str]]:
        function = getattr(self.mapping, "function", type(self.mapping))
        return [*super().user_objects(), (function, "mapping")]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "mapping": mappings.serialize(self.mapping),
        }

    def __repr__(self) -> str:
        return (
            f"KernelRatio({self.name!r}, {list(self.bandwidths)}, "
            f"{self.mapping!r}, relative={self.relative})"
        )
