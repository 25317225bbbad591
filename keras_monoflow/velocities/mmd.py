"""Velocities that descend maximum mean discrepancies."""

from typing import Any

from keras import ops

from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Logs, Seed, Tensor
from keras_monoflow.velocities.kernel_ratio import KernelVelocity
from keras_monoflow.velocities.neighbors import Neighbors
from keras_monoflow.velocities.pairs import Pairs
from keras_monoflow.velocities.velocity import Velocity


@VELOCITIES.register("mmd", aliases=("maximum_mean_discrepancy",))
class MMD(KernelVelocity):
    """`grad_y [mean_i k(y, x_i) - mean_j k(y, y'_j)]`: it descends MMD^2 / 2.

    Logs `generator_loss`, `E k(y, y') / 2 - E k(y, x)`: half the squared MMD
    without the part that depends on the data alone.

    Args:
        kernel: `"gaussian"`, `exp(-d^2 / (2 s^2))`; `"laplace"`, `exp(-d / s)`;
            or `"student"`, `1 / (1 + d^2 / s^2)`, with the distance `d`.
        bandwidths: The positive `s`, or several of which the kernels are
            averaged. The narrow ones see details, the wide ones far rows.
        relative: Whether bandwidths are in units of the mean distance between
            generated rows and real ones, or else in those of the data.

    Raises:
        TypeError, ValueError: If a name is unknown, or a bandwidth is not
            positive.

    Source: Arbel et al. 2019, arXiv 1906.04370.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    y, other, x = rng.normal(size=(3, 64, 2)).astype("float32")
    kmf.velocities.MMD()(y, x + 2.0, other).shape  # (64, 2)
    ```
    """

    log_names = ("generator_loss",)

    def __init__(
        self,
        kernel: str = "gaussian",
        bandwidths: Any = (0.05, 0.1, 0.2, 0.5, 1.0),
        relative: bool = True,
    ) -> None:
        super().__init__(kernel, bandwidths, relative)

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        bandwidths = self.scaled_bandwidths(pairs)

        def of_side(side: Neighbors) -> tuple[Tensor, Tensor]:
            kernels = [
                ops.exp(self.kernel.log(side.squared, s)) for s in bandwidths
            ]
            pulls = [
                k * self.kernel.pull(side.squared, s)
                for k, s in zip(kernels, bandwidths)
            ]
            count = len(bandwidths)
            weights = sum(pulls) / count * side.shares()
            return side.mean(sum(kernels) / count), side.pull(weights)

        (near_real, to_real), (near_other, to_other) = pairs.map(
            lambda real, other: (of_side(real), of_side(other))
        )
        loss = ops.mean(near_other) / 2 - ops.mean(near_real)
        return to_real - to_other, {"generator_loss": loss}


@VELOCITIES.register("energy", aliases=("energy_distance",))
class Energy(Velocity):
    """`grad_y [mean_j |y - y'_j| - mean_i |y - x_i|]`, MMD with `k = -d`.

    No bandwidth: rows see each other at any distance. It descends half the
    energy distance. Logs `generator_loss`, `E |y - x| - E |y - y'| / 2`.

    Source: arXiv 2605.05118.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    y, other, x = rng.normal(size=(3, 64, 2)).astype("float32")
    kmf.velocities.Energy()(y, x + 2.0, other).shape  # (64, 2)
    ```
    """

    log_names = ("generator_loss",)
    is_field = True
    works_in_blocks = True

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        def of_side(side: Neighbors) -> tuple[Tensor, Tensor]:
            weights = side.shares() / side.distances
            return side.mean(side.distances), side.pull(weights)

        (to_real, real_pull), (to_other, other_pull) = pairs.map(
            lambda real, other: (of_side(real), of_side(other))
        )
        loss = ops.mean(to_real) - ops.mean(to_other) / 2
        return real_pull - other_pull, {"generator_loss": loss}
