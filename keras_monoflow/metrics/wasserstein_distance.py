"""The exact Wasserstein distance between two sets of samples."""

import math
from typing import Any

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.metrics.base import DistributionMetric
from keras_monoflow.metrics.optimal_transport import import_pot
from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array, Config

# POT stops its simplex after 100,000 steps by default, with a warning and a
# value that is not the minimum.
_NO_LIMIT = 10**9


@METRICS.register("wasserstein_distance")
class WassersteinDistance(DistributionMetric):
    """Exact Wasserstein distance of order p between two sets of samples.

    Each set stands for the measure that gives its samples equal weights. With
    `x_i` the n real and `y_j` the m generated samples,

        W_p = (min_P sum_ij P_ij |x_i - y_j|^p)^(1/p)

    over the n x m matrices P >= 0 whose rows sum to 1/n and columns to 1/m;
    `|.|` is the Euclidean norm (Peyré and Cuturi, "Computational Optimal
    Transport", 2019, section 2). The minimum is found by the network simplex
    method of POT, on the CPU and in float64.

    Between finite sets the distance has a floor: two independent sets from one
    distribution have a positive distance, which falls as n grows, slowly in
    high dimension. Compare values at equal n and m only.

    Time grows about as n^3 and memory as n m: 1000 against 1000 samples in the
    plane take a fraction of a second, and 10,000 against 10,000 need
    gigabytes. Use `max_samples` for large sets.

    Needs POT and SciPy: `pip install "keras-monoflow[metrics]"`. If POT is
    not loaded yet, importing it here loads no further framework; import `ot`
    and your framework first if you use them together.

    Args:
        order: Number p >= 1. Defaults to `1`.
        max_samples: Integer, sets with more samples are thinned at random
            to that many; `None` uses all. Defaults to `None`.
        seed: Integer, the seed of the thinning, or `None` for other rows at
            each call. Defaults to `0`.
        name: String. Defaults to `"wasserstein_distance"`.

    Returns:
        When called, a float in the unit of the data; 0 for equal sets, unless
        they are thinned, to other rows each.

    Raises:
        ValueError: If an argument is out of its range.
        ImportError: When called, if POT or SciPy is missing.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    real = np.random.default_rng(0).normal(size=(500, 2))
    distance = kmf.metrics.WassersteinDistance()
    print(distance(real, real + np.array([3.0, 4.0])))  # 5.0
    ```
    """

    default_name = "wasserstein_distance"
    direction = "min"

    def __init__(
        self,
        order: float = 1,
        max_samples: int | None = None,
        seed: int | None = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.order = check_number("order", order, minimum=1)
        if max_samples is not None:
            max_samples = check_integer("max_samples", max_samples, minimum=1)
        self.max_samples = max_samples
        if seed is not None:
            seed = check_integer("seed", seed, minimum=0)
        self.seed = seed

    def compute(self, real: Array, generated: Array) -> float:
        rng = np.random.default_rng(self.seed)
        real, generated = self._thin(real, rng), self._thin(generated, rng)
        ot, distance = import_pot()
        # Not `ot.dist`: it expands |x - y|^2, which cancels far from 0.
        cost = distance.cdist(real, generated)
        if self.order > 2:
            cost = np.minimum(cost, self._most_costly(cost, ot))
        # Powers of a unit-free cost neither overflow nor vanish.
        unit = cost.max() or 1.0
        cost = (cost / unit) ** self.order
        least = ot.emd2([], [], cost, numItermax=_NO_LIMIT)
        return unit * max(least, 0.0) ** (1.0 / self.order)

    def _most_costly(self, cost: Array, ot: Any) -> float:
        """Returns a bound on the distances that an optimal plan uses.

        The simplex loses powers of short distances beside those of long ones.
        A plan `Q` of order 1 costs at most `max_Q |x - y|^p`. A better one
        moves at least `1 / lcm(n, m)` along each of its pairs, so it uses none
        for which that alone is more expensive.
        """
        plan = ot.emd([], [], cost / (cost.max() or 1.0), numItermax=_NO_LIMIT)
        least_mass = 1.0 / math.lcm(*cost.shape)
        longest = cost[plan > 0.0].max()
        # (A little more, so that rounding forbids none.)
        return 1.001 * longest * least_mass ** (-1.0 / self.order)

    def _thin(self, samples: Array, rng: np.random.Generator) -> Array:
        if self.max_samples is None or len(samples) <= self.max_samples:
            return samples
        return samples[
            rng.choice(len(samples), self.max_samples, replace=False)
        ]

    def get_config(self) -> Config:
        return {
            "order": self.order,
            "max_samples": self.max_samples,
            "seed": self.seed,
            **super().get_config(),
        }
