"""The gradient flow of the sliced Wasserstein distance."""

from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_integer
from keras_monoflow.backend import framework
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Config, Logs, Seed, Tensor
from keras_monoflow.velocities.pairs import Pairs
from keras_monoflow.velocities.velocity import Velocity


@VELOCITIES.register("sliced", aliases=("sliced_wasserstein",))
class SlicedWasserstein(Velocity):
    """`d` times the mean over directions of `(T(y) - y) direction`.

    In each random direction the rows are numbers, and the optimal map `T` takes
    the `k`-th smallest of them to the `k`-th smallest real one; where there are
    more real rows or fewer, to that quantile. Times the dimension `d`, a shift
    of the data gives just this shift, on average. There are no rows that
    repel: a second batch has no effect.

    Logs `generator_loss`, `d / 2` times the squared sliced Wasserstein-2
    distance, which the velocity descends.

    Args:
        projections: How many directions are drawn in each call, at least 1.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.

    Source: Liutkus et al. 2019, arXiv 1806.08141.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(2, 64, 2)).astype("float32")
    kmf.velocities.SlicedWasserstein()(y, x + 2.0, seed=0).shape  # (64, 2)
    ```
    """

    log_names = ("generator_loss",)
    uses_second_batch = False
    takes_labels = False
    takes_guidance = False
    own_row_counts = True

    def __init__(self, projections: int = 64) -> None:
        self.projections = check_integer("projections", projections, minimum=1)

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        y = pairs.y
        size = y.shape[1]
        directions = keras.random.normal(
            (size, self.projections), dtype=y.dtype, seed=seed
        )
        lengths = ops.sqrt(ops.sum(directions**2, axis=0, keepdims=True))
        directions = directions / lengths
        # (projections, rows), so that the sorted axis is the last.
        at, targets = (
            ops.transpose(framework.engine.exact_matmul(rows, directions))
            for rows in (y, pairs.x)
        )
        ranks = ops.argsort(ops.argsort(at, axis=1), axis=1)
        quantiles = _quantiles(ops.sort(targets, axis=1), ops.shape(at)[1])
        moves = ops.take_along_axis(quantiles, ranks, axis=1) - at
        velocity = framework.engine.exact_matmul(
            ops.transpose(moves), ops.transpose(directions)
        )
        loss = size / 2 * ops.mean(moves**2)
        return velocity * (size / self.projections), {"generator_loss": loss}

    def get_config(self) -> Config:
        return {"projections": self.projections}


def _quantiles(values: Tensor, n: Any) -> Tensor:
    """Returns the quantiles of sorted `(k, m)` at `(i + 1/2) / n`, `(k, n)`."""
    m = ops.shape(values)[1]
    if isinstance(n, int) and isinstance(m, int) and n == m:
        return values
    size = ops.cast(m, values.dtype)
    ranks = ops.cast(ops.arange(n), values.dtype)
    places = (ranks + 0.5) * size / ops.cast(n, values.dtype) - 0.5
    places = ops.clip(places, 0.0, size - 1.0)
    low = ops.floor(places)
    high = ops.minimum(low + 1.0, size - 1.0)
    share = places - low
    low, high = (
        ops.take(values, ops.cast(p, "int32"), axis=1) for p in (low, high)
    )
    return (1.0 - share) * low + share * high
