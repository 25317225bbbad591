"""The velocity of drifting models."""

from typing import Any

from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Config, Seed, Tensor
from keras_monoflow.velocities.differences import (
    safe_sqrt,
    squared_distances,
    weighted_differences,
)
from keras_monoflow.velocities.neighbors import Neighbors, mean_over_pairs
from keras_monoflow.velocities.velocity import Velocity, check_bandwidths

#: A drift below this share of the attraction is rounding.
_RESOLUTION = 1e-4


@VELOCITIES.register("drifting", aliases=("drift",))
class Drifting(Velocity):
    """The drift of Deng et al. 2026, arXiv 2602.04770, Algorithm 2.

    For each temperature `T`, with distances `d` in units of their mean, real
    rows `x` and repelling rows `y'` side by side:

        A  = sqrt(softmax over rows(-d / T) * softmax over columns(-d / T))
        V_i = sum_j A+_ij (sum_k A-_ik) x_j - sum_k A-_ik (sum_j A+_ij) y'_k

    `A+` are the columns of the real rows, `A-` those of the others. Each `V`
    is divided by the root mean square of its entries, and they are added up:
    the velocity has no natural length. It descends no known functional, and
    logs nothing.

    Without a second batch the generated rows repel each other, each without
    itself, as in the authors' code. This is biased; a second batch is not.

    Args:
        temperatures: A positive number, or several.
        floor: The product under the root is at least this. The authors' code
            has 1e-6, with which rows that start all in one place never leave
            it; the default does not hold them.

    Raises:
        TypeError, ValueError: If a number is not positive.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    y, other, x = rng.normal(size=(3, 64, 2)).astype("float32")
    kmf.velocities.Drifting()(y, x + 2.0, other).shape  # (64, 2)
    ```
    """

    def __init__(
        self, temperatures: Any = (0.02, 0.05, 0.2), floor: float = 1e-30
    ) -> None:
        self.temperatures = check_bandwidths(
            "Drifting", "temperatures", temperatures
        )
        self.floor = check_number("floor of Drifting", floor, above=0)

    def flow(
        self, y: Tensor, real: Neighbors, other: Neighbors, seed: Seed
    ) -> tuple[Tensor, dict[str, Tensor]]:
        sides = [real, other]
        distances = [
            safe_sqrt(squared_distances(y, side.points)) for side in sides
        ]
        unit = mean_over_pairs(distances, sides)
        # The weights of classes and of guidance; 1 without.
        weights = ops.concatenate(
            [side.relative_log_shares(d) for side, d in zip(sides, distances)],
            axis=1,
        )
        scaled = ops.concatenate(distances, axis=1) / unit
        velocity = 0.0
        for temperature in self.temperatures:
            logits = weights - scaled / temperature
            both = ops.softmax(logits, axis=1) * ops.softmax(logits, axis=0)
            affinity = ops.sqrt(ops.maximum(both, self.floor))
            m = real.points.shape[0] or ops.shape(real.points)[0]
            attract, repel = affinity[:, :m], affinity[:, m:]
            attraction = weighted_differences(
                attract * ops.sum(repel, axis=1, keepdims=True), y, real.points
            )
            drift = attraction - weighted_differences(
                repel * ops.sum(attract, axis=1, keepdims=True), y, other.points
            )
            # (Where nothing is left but rounding, it stays small.)
            least = _RESOLUTION * _rms(attraction) + 1e-37
            velocity = velocity + drift / ops.maximum(_rms(drift), least)
        return velocity, {}

    def get_config(self) -> Config:
        return {"temperatures": list(self.temperatures), "floor": self.floor}


def _rms(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(x**2))
