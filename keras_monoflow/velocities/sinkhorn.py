"""The gradient flow of the Sinkhorn divergence."""

from typing import Any

from keras import ops

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Config, Seed, Tensor
from keras_monoflow.velocities.differences import (
    squared_distances,
    weighted_differences,
)
from keras_monoflow.velocities.neighbors import Neighbors, mean_over_pairs
from keras_monoflow.velocities.velocity import Velocity


@VELOCITIES.register("sinkhorn", aliases=("sinkhorn_divergence",))
class Sinkhorn(Velocity):
    """`T_{q->p}(y) - T_{q->q'}(y)`, by the maps of entropic transport plans.

    `T(y_i) = sum_j P_ij x_j / sum_j P_ij` is the barycentric map of the plan
    `P` between generated rows and real ones, or a second generated batch, with
    the cost `d^2 / 2` and entropy `epsilon`. The second map takes away the
    shrinking of the first (debiasing): the velocity is minus the gradient of
    the Sinkhorn divergence, and close to that of the Wasserstein-2 distance
    for a small `epsilon`. Plans come from iterations in the log domain.

    Without a second batch the plan is one between the generated rows and
    themselves. Logs `generator_loss`, the Sinkhorn divergence without the
    part that depends on the data alone.

    Args:
        epsilon: Positive float.
        iterations: How often both sides are scaled, at least 1.
        relative: Whether `epsilon` is in units of the mean cost between
            generated rows and real ones, or else in those of the data squared.

    Raises:
        TypeError, ValueError: If a number is out of range.

    Source: W-Flow, arXiv 2605.11755; arXiv 2603.12366. The divergence:
    Feydy et al. 2019, arXiv 1810.08278.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    y, other, x = rng.normal(size=(3, 64, 2)).astype("float32")
    kmf.velocities.Sinkhorn()(y, x + 2.0, other).shape  # (64, 2)
    ```
    """

    log_names = ("generator_loss",)
    takes_guidance = False
    own_row_counts = True

    def __init__(
        self,
        epsilon: float = 0.05,
        iterations: int = 10,
        relative: bool = True,
    ) -> None:
        self.epsilon = check_number("epsilon of Sinkhorn", epsilon, above=0)
        self.iterations = check_integer("iterations", iterations, minimum=1)
        self.relative = bool(relative)

    def flow(
        self, y: Tensor, real: Neighbors, other: Neighbors, seed: Seed
    ) -> tuple[Tensor, dict[str, Tensor]]:
        sides = [real, other]
        costs = [squared_distances(y, side.points) / 2 for side in sides]
        unit = mean_over_pairs(costs[:1], [real]) if self.relative else 1.0
        epsilon = self.epsilon * unit
        (to_real, cost_real), (to_other, cost_other) = (
            self._transport(y, side, cost, epsilon)
            for side, cost in zip(sides, costs)
        )
        loss = cost_real - cost_other / 2
        return to_real - to_other, {"generator_loss": loss}

    def _transport(
        self, y: Tensor, side: Neighbors, cost: Tensor, epsilon: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the steps of `y` to their images, and the cost of the plan.

        `f_i = -epsilon log sum_j b_j exp((g_j - cost_ij) / epsilon)`, and
        likewise for `g`, with the shares `b_j` of the rows of each class.
        """
        rows = side.log_shares(cost)
        columns = ops.transpose(
            Neighbors(y, _transposed(side.weights)).log_shares(
                ops.transpose(cost)
            )
        )
        scaled = -cost / epsilon
        g = ops.zeros_like(cost[0])
        for _ in range(self.iterations):
            f = -ops.logsumexp(rows + scaled + g[None], axis=1)
            g = -ops.logsumexp(columns + scaled + f[:, None], axis=0)
        logits = rows + scaled + g[None]
        f = -ops.logsumexp(logits, axis=1)
        plan = ops.exp(logits + f[:, None])
        step = weighted_differences(plan, y, side.points)
        # (A row without neighbors stays.)
        loss = epsilon * (ops.mean(f) + ops.mean(g))
        return step * side.exist(cost), loss

    def get_config(self) -> Config:
        return {
            "epsilon": self.epsilon,
            "iterations": self.iterations,
            "relative": self.relative,
        }


def _transposed(weights: Any) -> Any:
    return None if weights is None else ops.transpose(weights)
