"""The squared kernel distance (MMD) between two sets of features."""

from collections.abc import Iterator

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.metrics.feature_metric import FeatureMetric, Side
from keras_monoflow.metrics.features import Extractor
from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array, ArrayLike, Config

# Rows of each set whose kernel values are held at a time.
_BLOCK = 1024


@METRICS.register("kernel_distance")
class KernelDistance(FeatureMetric):
    """Unbiased squared maximum mean discrepancy with a polynomial kernel.

    With `k(x, y) = (gamma x.y + coef0)^degree` and the features `x_i` of the n
    real and `y_j` of the m generated samples,

        sum_{i != j} k(x_i, x_j) / (n (n - 1))
        + sum_{i != j} k(y_i, y_j) / (m (m - 1))
        - 2 sum_{i, j} k(x_i, y_j) / (n m)

    (Gretton et al., 2012, lemma 6). With the default kernel, which compares
    the first three moments, and the features of an Inception network it is the
    KID (Bińkowski et al., 2018, arXiv 1801.01401). Unlike the Fréchet distance
    its mean does not depend on n, and it may be slightly negative.

    By default all samples are used, in blocks: the value with the least noise,
    in a time of order `(n + m)^2 d`. With `subsets` it is the mean over random
    subsets, as published values of the KID are: `subsets=100`,
    `subset_size=1000`. With `seed=2020` the subsets are those that
    torch-fidelity draws by default, given generated samples as `input1`.

    Args:
        feature_extractor: A `keras.Model`, `keras.Layer` or callable that maps
            a batch of samples to an array of shape `(b, d)`; a callable is
            given NumPy arrays. `None` flattens the samples.
        degree: Integer, the kernel's degree. Defaults to `3`.
        gamma: Positive number, or `None` for `1 / d`. Defaults to `None`.
        coef0: Number of at least 0. Defaults to `1.0`.
        subsets: Integer, the number of random subsets, or `None` to use all
            samples once. Defaults to `None`.
        subset_size: Integer, the samples in a subset, drawn from each set
            without replacement. Defaults to `1000`.
        seed: Integer, the seed of the subsets. Defaults to `0`.
        batch_size: Integer, the samples that the extractor gets at a time.
            Defaults to `256`.
        name: String. Defaults to `"kernel_distance"`.

    Returns:
        When called, a float; about 0 for samples of one distribution. What is
        needed of `real` is kept for the next call with the same object.

    Raises:
        ValueError: If an argument is out of its range; when called, if a set
            has fewer samples than two or than a subset, or if the extractor
            does not give finite rows.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(2, 500, 2))
    distance = kmf.metrics.KernelDistance()
    print(distance(real, generated))  # 0.01...
    print(distance(real, generated + 1.0))  # 13.8...
    ```
    """

    default_name = "kernel_distance"

    def __init__(
        self,
        feature_extractor: Extractor | None = None,
        degree: int = 3,
        gamma: float | None = None,
        coef0: float = 1.0,
        subsets: int | None = None,
        subset_size: int = 1000,
        seed: int = 0,
        batch_size: int = 256,
        name: str | None = None,
    ) -> None:
        super().__init__(feature_extractor, batch_size, name)
        self.degree = check_integer("degree", degree, minimum=1)
        if gamma is not None:
            gamma = check_number(
                "gamma", gamma, above=0, hint="`None` stands for 1 / d."
            )
        self.gamma = gamma
        self.coef0 = check_number(
            "coef0",
            coef0,
            minimum=0,
            hint="Below 0 the kernel is not an inner product.",
        )
        if subsets is not None:
            subsets = check_integer("subsets", subsets, minimum=1)
        self.subsets = subsets
        self.subset_size = check_integer("subset_size", subset_size, minimum=2)
        self.seed = check_integer("seed", seed, minimum=0)

    def settings(self) -> Config:
        return {
            "degree": self.degree,
            "gamma": self.gamma,
            "coef0": self.coef0,
            "subsets": self.subsets,
            "subset_size": self.subset_size,
            "seed": self.seed,
            **super().settings(),
        }

    def statistics(self, name: str, features: Array) -> float | None:
        least = 2 if self.subsets is None else self.subset_size
        if len(features) < least:
            other = "" if self.subsets is None else " or lower `subset_size`"
            raise ValueError(
                f"`{name}` must hold at least {least} samples. Received: "
                f"{name} with {len(features)}. Pass more samples{other}."
            )
        return self._mean_within(features) if self.subsets is None else None

    def compute(self, real: Side, generated: Side) -> float:
        return self._details(real, generated)["mean"]

    def details(
        self, real: ArrayLike, generated: ArrayLike
    ) -> dict[str, float]:
        """Returns the distance, and how much it varies between subsets.

        Args:
            real: Array or tensor of shape `(n, ...)`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            A dictionary of floats: `mean`, the value of the metric, and with
            `subsets` also `std`, the standard deviation over the subsets.
        """
        return self._details(*self.prepare(real, generated))

    def _details(self, real: Side, generated: Side) -> dict[str, float]:
        if self.subsets is None:
            within = real.statistics + generated.statistics
            between = self._mean_between(real.rows, generated.rows)
            return {"mean": float(within - 2.0 * between)}
        # Its stream of numbers is fixed, and that of torch-fidelity.
        rng = np.random.RandomState(self.seed)
        values = [
            self._subset_value(rng, real.rows, generated.rows)
            for _ in range(self.subsets)
        ]
        return {"mean": float(np.mean(values)), "std": float(np.std(values))}

    def _subset_value(
        self, rng: np.random.RandomState, x: Array, y: Array
    ) -> float:
        # The generated samples come first, as `input1` of torch-fidelity.
        y = y[rng.choice(len(y), self.subset_size, replace=False)]
        x = x[rng.choice(len(x), self.subset_size, replace=False)]
        within = self._mean_within(x) + self._mean_within(y)
        return within - 2.0 * self._mean_between(x, y)

    # ------------------------------------------------------- sums in blocks

    def _kernel(self, x: Array, y: Array) -> Array:
        gamma = 1.0 / x.shape[1] if self.gamma is None else self.gamma
        return (gamma * (x @ y.T) + self.coef0) ** self.degree

    def _mean_between(self, x: Array, y: Array) -> float:
        total = sum(
            self._kernel(block, other).sum()
            for block in _blocks(x)
            for other in _blocks(y)
        )
        return total / (len(x) * len(y))

    def _mean_within(self, x: Array) -> float:
        """Returns the mean kernel value of pairs of different rows."""
        total = 0.0
        for i, block in enumerate(_blocks(x)):
            values = self._kernel(block, block)
            total += values.sum() - np.trace(values)
            # The kernel is symmetric: each other pair of blocks counts twice.
            later = _blocks(x[(i + 1) * _BLOCK :])
            total += 2.0 * sum(self._kernel(block, o).sum() for o in later)
        return total / (len(x) * (len(x) - 1))


def _blocks(rows: Array) -> Iterator[Array]:
    """Yields the rows in float64, block by block."""
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK].astype("float64")
