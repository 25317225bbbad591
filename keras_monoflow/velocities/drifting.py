"""The velocity of drifting models."""

import functools
from typing import Any

from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Config, Logs, Seed, Tensor
from keras_monoflow.velocities.neighbors import Neighbors
from keras_monoflow.velocities.pairs import Pairs
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
            has 1e-6, with which rows that all start in one place never leave
            it; with the default they do.

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

    works_in_blocks = True

    def __init__(
        self, temperatures: Any = (0.02, 0.05, 0.2), floor: float = 1e-30
    ) -> None:
        self.temperatures = check_bandwidths(
            "Drifting", "temperatures", temperatures
        )
        self.floor = check_number("floor of Drifting", floor, above=0)

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        unit = pairs.unit(
            lambda real, other: [(s, s.distances) for s in (real, other)]
        )
        drifts = [self._drift(pairs, unit, t) for t in self.temperatures]
        return sum(drifts), {}

    def _drift(self, pairs: Pairs, unit: Tensor, temperature: float) -> Tensor:
        """Returns `V` of one temperature over its root mean square."""

        # (Once for all, where all rows are looked at at once.)
        @functools.cache
        def logits(real: Neighbors, other: Neighbors) -> Tensor:
            sides = [
                side.relative_log_shares()
                - side.distances / (unit * temperature)
                for side in (real, other)
            ]
            return ops.concatenate(sides, axis=1)

        over_rows = pairs.log_sum(logits)

        def move(real: Neighbors, other: Neighbors) -> tuple[Tensor, Tensor]:
            both = logits(real, other)
            over_columns = ops.logsumexp(both, axis=1, keepdims=True)
            # The root of the product of both softmaxes.
            logs = both - (over_columns + over_rows) / 2
            affinity = ops.maximum(ops.exp(logs), self.floor**0.5)
            m = real.points.shape[0] or ops.shape(real.points)[0]
            attract, repel = affinity[:, :m], affinity[:, m:]
            attracted = real.pull(
                attract * ops.sum(repel, axis=1, keepdims=True)
            )
            repelled = other.pull(
                repel * ops.sum(attract, axis=1, keepdims=True)
            )
            return attracted, attracted - repelled

        attraction, drift = pairs.map(move)
        # (Where nothing is left but rounding, it stays small.)
        least = _RESOLUTION * _rms(attraction) + 1e-37
        return drift / ops.maximum(_rms(drift), least)

    def get_config(self) -> Config:
        return {"temperatures": list(self.temperatures), "floor": self.floor}


def _rms(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(x**2))
