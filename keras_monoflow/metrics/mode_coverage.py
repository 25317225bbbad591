"""How many modes of a known mixture the generated samples reach."""

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.metrics import shares
from keras_monoflow.metrics.base import DistributionMetric, flatten_samples
from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array, ArrayLike, Config


@METRICS.register()
class ModeCoverage(DistributionMetric):
    """Number of modes of a known mixture that generated samples reach.

    A sample belongs to the mode whose center is nearest. It is of *high
    quality* if it lies within `threshold` standard deviations of that center,
    in Euclidean distance. A mode is *covered* if at least `minimum_samples`
    samples of high quality belong to it.

    With the defaults, 3 standard deviations and one sample, these are the two
    numbers that are reported for the rings and grids of Gaussians since VEEGAN
    (Srivastava et al., 2017, arXiv 1705.07761, section 4). One stray sample
    out of thousands then counts as a mode; raise `minimum_samples` to be
    stricter.

    Not every sample of the mixture itself is of high quality: with the default
    threshold 98.9% in the plane, and fewer in more dimensions.

    Args:
        centers: Array of shape `(modes, ...)`, the centers of the modes.
        std: Positive number, the standard deviation of a mode in each
            coordinate, in data units.
        threshold: Positive number, the radius of a mode in units of `std`.
            Defaults to `3.0`.
        minimum_samples: Integer, how many samples of high quality it takes to
            cover a mode. Defaults to `1`.
        name: String. Defaults to `"mode_coverage"`.
        centres: The former name of `centers`.

    Returns:
        When called, the number of covered modes as a float, from 0 to the
        number of centers. The real samples are not looked at and may be
        `None`.

    Raises:
        ValueError: If an argument is out of its range; when called, if the
            samples do not have the shape of the centers.
        TypeError: If `centers` is missing or given by both names, or if
            `minimum_samples` is not an integer.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    coverage = kmf.metrics.ModeCoverage([[-1.0, 0.0], [1.0, 0.0]], std=0.1)
    generated = np.array([[1.0, 0.1], [1.1, 0.0], [0.0, 5.0]])
    print(coverage(None, generated))  # 1.0
    print(coverage.details(None, generated))
    # {'modes': 1.0, 'high_quality': 0.666..., 'kl': 0.693...}
    ```
    """

    default_name = "mode_coverage"
    direction = "max"
    needs_real = False

    def __init__(
        self,
        centers: ArrayLike = None,
        std: float | None = None,
        threshold: float = 3.0,
        minimum_samples: int = 1,
        name: str | None = None,
        *,
        centres: ArrayLike = None,
    ) -> None:
        super().__init__(name)
        if (centers is None) == (centres is None):
            raise TypeError(
                "Pass the modes as `centers`, or by the former name `centres`."
            )
        centers = centres if centers is None else centers
        self.centers = flatten_samples("centers", centers)
        self.std = check_number("std", std, above=0)
        self.threshold = check_number("threshold", threshold, above=0)
        self.minimum_samples = check_integer(
            "minimum_samples", minimum_samples, minimum=1
        )

    @property
    def centres(self) -> Array:
        """The former name of `centers`."""
        return self.centers

    def compute(self, real: None, generated: Array) -> float:
        return self._details(generated)["modes"]

    def details(
        self, real: ArrayLike | None, generated: ArrayLike
    ) -> dict[str, float]:
        """Returns the number of covered modes, and how samples are spread.

        Args:
            real: Not used, may be `None`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            A dictionary of floats: `modes`, the number of covered modes;
            `high_quality`, the share of samples of high quality, from 0 to 1;
            `kl`, the Kullback-Leibler divergence of the modes' shares of these
            from equal ones in nats, as in the tables of PacGAN (Lin et al.
            2018, arXiv 1712.04086), infinite if there are none.
        """
        return self._details(self.prepare(real, generated)[1])

    def _details(self, generated: Array) -> dict[str, float]:
        if generated.shape[1] != self.centers.shape[1]:
            raise ValueError(
                "`generated` must have samples of the shape of the centers. "
                f"Received: samples with {generated.shape[1]} coordinates, "
                f"centers with {self.centers.shape[1]}."
            )
        # One mode at a time: all differences at once could fill the memory.
        distances = np.stack(
            [np.linalg.norm(generated - c, axis=1) for c in self.centers]
        )
        nearest = distances.argmin(axis=0)
        good = distances.min(axis=0) <= self.threshold * self.std
        counts = np.bincount(nearest[good], minlength=len(self.centers))
        return {
            "modes": float(np.sum(counts >= self.minimum_samples)),
            "high_quality": float(good.mean()),
            "kl": shares.divergence(counts),
        }

    def get_config(self) -> Config:
        return {
            "centers": self.centers.tolist(),
            "std": self.std,
            "threshold": self.threshold,
            "minimum_samples": self.minimum_samples,
            **super().get_config(),
        }
