"""Velocities that descend maximum mean discrepancies."""

from typing import Any

from keras import ops

from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Seed, Tensor
from keras_monoflow.velocities.differences import (
    safe_sqrt,
    squared_distances,
    weighted_differences,
)
from keras_monoflow.velocities.kernel_ratio import KernelVelocity
from keras_monoflow.velocities.neighbors import Neighbors
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

    def flow(
        self, y: Tensor, real: Neighbors, other: Neighbors, seed: Seed
    ) -> tuple[Tensor, dict[str, Tensor]]:
        sides = [real, other]
        squared = [squared_distances(y, side.points) for side in sides]
        bandwidths = self.scaled_bandwidths(squared[0], real)
        witness, pulls = [], []
        for side, s in zip(sides, squared):
            kernels = [ops.exp(self.kernel.log(s, b)) for b in bandwidths]
            witness.append(side.mean(sum(kernels) / len(bandwidths)))
            weights = sum(
                k * self.kernel.pull(s, b) for k, b in zip(kernels, bandwidths)
            )
            weights = weights / len(bandwidths) * side.shares(s)
            pulls.append(weighted_differences(weights, y, side.points))
        loss = ops.mean(witness[1]) / 2 - ops.mean(witness[0])
        return pulls[0] - pulls[1], {"generator_loss": loss}


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

    def flow(
        self, y: Tensor, real: Neighbors, other: Neighbors, seed: Seed
    ) -> tuple[Tensor, dict[str, Tensor]]:
        means, pulls = [], []
        for side in (real, other):
            distances = safe_sqrt(squared_distances(y, side.points))
            means.append(side.mean(distances))
            weights = side.shares(distances) / distances
            pulls.append(weighted_differences(weights, y, side.points))
        loss = ops.mean(means[0]) - ops.mean(means[1]) / 2
        return pulls[0] - pulls[1], {"generator_loss": loss}
