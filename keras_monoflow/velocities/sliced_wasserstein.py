"""The gradient flow of the sliced Wasserstein distance."""

from typing import Any

import keras
import numpy as np
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
    the `k`-th smallest of `n` to the `k`-th smallest real one; where there are
    more real rows or fewer, to the mean of the data's quantile function from
    `(k - 1) / n` to `k / n`. Times the dimension `d`, a shift
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
        targets = ops.sort(targets, axis=1)
        means, within = _means_of_quantiles(targets, ops.shape(at)[1])
        moves = ops.take_along_axis(means, ranks, axis=1) - at
        velocity = framework.engine.exact_matmul(
            ops.transpose(moves), ops.transpose(directions)
        )
        loss = size / 2 * (ops.mean(moves**2) + within)
        return velocity * (size / self.projections), {"generator_loss": loss}

    def get_config(self) -> Config:
        return {"projections": self.projections}


def _means_of_quantiles(values: Tensor, n: Any) -> tuple[Tensor, Any]:
    """Returns the means of the quantile function of sorted `(k, m)` over each
    of `n` equal intervals, `(k, n)`, and the mean variance within these.

    They are differences of its integral at `i / n`.
    """
    m = ops.shape(values)[1]
    if isinstance(n, int) and isinstance(m, int) and n == m:
        return values, 0.0
    # (Around the mean, where sums lose least.)
    center = ops.mean(values, axis=1, keepdims=True)
    values = values - center
    sums = ops.pad(ops.cumsum(values, axis=1), ((0, 0), (1, 0)))
    # At i / n are `whole` values and a share of the next one. (In integers:
    # rounded places would lose the little that is between them.)
    if isinstance(n, int) and isinstance(m, int):
        whole, left = np.divmod(np.arange(n + 1, dtype="int64") * m, n)
        share = left / n
    else:
        counts = ops.cast(ops.arange(n + 1), "int64")
        products = counts * ops.cast(m, "int64")
        whole = products // ops.cast(n, "int64")
        share = ops.cast(products % ops.cast(n, "int64"), values.dtype)
        share = share / ops.cast(n, values.dtype)
    whole = ops.cast(whole, "int32")
    share = ops.cast(share, values.dtype)
    following = ops.take(values, ops.minimum(whole, m - 1), axis=1)
    rest = share * following
    total = ops.take(sums, whole, axis=1)
    between = total[:, 1:] - total[:, :-1] + (rest[:, 1:] - rest[:, :-1])
    means = between * (ops.cast(n, values.dtype) / ops.cast(m, values.dtype))
    within = ops.mean(values**2) - ops.mean(means**2)
    return center + means, ops.maximum(within, 0.0)
