"""The gradient flow of the Sinkhorn divergence."""

import functools
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Config, Logs, Seed, Tensor
from keras_monoflow.velocities.neighbors import (
    LOG_ZERO,
    Neighbors,
    log_or_zero,
)
from keras_monoflow.velocities.pairs import OfSides, Pairs
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
    works_in_blocks = True

    def __init__(
        self,
        epsilon: float = 0.05,
        iterations: int = 10,
        relative: bool = True,
    ) -> None:
        self.epsilon = check_number("epsilon of Sinkhorn", epsilon, above=0)
        self.iterations = check_integer("iterations", iterations, minimum=1)
        self.relative = bool(relative)

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        epsilon: Any = self.epsilon
        if self.relative:
            epsilon = epsilon * pairs.unit(
                lambda real, other: [(real, real.squared / 2)]
            )
        to_real, cost_real = self._transport(
            pairs, lambda real, other: real, epsilon
        )
        to_other, cost_other = self._transport(
            pairs, lambda real, other: other, epsilon
        )
        loss = cost_real - cost_other / 2
        return to_real - to_other, {"generator_loss": loss}

    def _transport(
        self, pairs: Pairs, choose: OfSides, epsilon: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the steps of `y` to their images, and the cost of the plan.

        `f_i = -epsilon log sum_j b_j exp((g_j - cost_ij) / epsilon)`, and
        likewise for `g`, with the shares `b_j` of the rows of each class. Rows
        without a neighbor are in no plan: their potential is 0.
        """
        log_column_shares = _log_column_shares(pairs, choose)

        # (Once for all iterations, where all rows are looked at at once.)
        @functools.cache
        def rows(side: Neighbors) -> Tensor:
            return side.log_shares() - side.squared / (2 * epsilon)

        @functools.cache
        def columns(side: Neighbors) -> Tensor:
            return log_column_shares(side) - side.squared / (2 * epsilon)

        def f(side: Neighbors, g: Tensor) -> Tensor:
            return -ops.logsumexp(rows(side) + g, axis=1) * side.exist()[:, 0]

        def column_logits(
            real: Neighbors, other: Neighbors, g: Tensor
        ) -> Tensor:
            side = choose(real, other)
            return columns(side) + f(side, g)[:, None]

        def move(real: Neighbors, other: Neighbors) -> tuple[Tensor, Tensor]:
            side = choose(real, other)
            potential = f(side, g)
            plan = ops.exp(rows(side) + g + potential[:, None])
            return side.pull(plan), potential

        g: Any = 0.0
        for _ in range(self.iterations):
            total = pairs.log_sum(functools.partial(column_logits, g=g))
            g = -ops.where(total > LOG_ZERO / 2, total, 0.0)
        step, potential = pairs.map(move)
        return step, epsilon * (ops.mean(potential) + ops.mean(g))

    def get_config(self) -> Config:
        return {
            "epsilon": self.epsilon,
            "iterations": self.iterations,
            "relative": self.relative,
        }


def _log_column_shares(
    pairs: Pairs, choose: OfSides
) -> Callable[[Neighbors], Tensor]:
    """Returns a function of neighbors, which returns the logarithms of weights
    that add up to 1 over the generated rows."""
    if pairs.labels is None:
        n = ops.cast(ops.shape(pairs.y)[0], pairs.y.dtype)
        return lambda side: -ops.log(n)
    total = pairs.log_sum(lambda *sides: log_or_zero(choose(*sides).weights))

    def log_shares(side: Neighbors) -> Tensor:
        logs = log_or_zero(side.weights) - total
        return ops.where(side.weights > 0, logs, LOG_ZERO)

    return log_shares
