"""How many modes of a known mixture the generated samples reach."""

import operator
from typing import Any

import numpy as np

from keras_monoflow.metrics.base import DistributionMetric, flatten_samples
from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array, ArrayLike, Config, Tensor


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
        centres: Array of shape `(modes, ...)`, the centers of the modes.
        std: Positive number, the standard deviation of a mode in each
            coordinate, in data units.
        threshold: Positive number, the radius of a mode in units of `std`.
            Defaults to `3.0`.
        minimum_samples: Integer, the samples of high quality that make a mode
            covered. Defaults to `1`.
        name: String. Defaults to `"mode_coverage"`.

    Returns:
        When called, the number of covered modes as a float, from 0 to the
        number of centers. The real samples are not looked at and may be
        `None`.

    Raises:
        ValueError: If an argument is out of its range; when called, if the
            samples do not have the shape of the centers.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    coverage = kmf.metrics.ModeCoverage([[-1.0, 0.0], [1.0, 0.0]], std=0.1)
    generated = np.array([[1.0, 0.1], [1.1, 0.0], [0.0, 5.0]])
    print(coverage(None, generated))  # 1.0
    print(coverage.details(None, generated))
    # {'modes': 1.0, 'high_quality': 0.666...}
    ```
    """

    default_name = "mode_coverage"
    direction = "max"
    needs_real = False

    def __init__(
        self,
        centres: ArrayLike,
        std: float,
        threshold: float = 3.0,
        minimum_samples: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.centres = flatten_samples("centres", centres)
        self.std = _positive("std", std)
        self.threshold = _positive("threshold", threshold)
        # A fraction would be rounded down to 0, which every mode reaches.
        self.minimum_samples = operator.index(minimum_samples)
        _positive("minimum_samples", self.minimum_samples)

    def compute(self, real: Array, generated: Array) -> Any:
        return self._details(generated)["modes"]

    def details(self, real: Tensor, generated: Tensor):
        """Return the number of covered modes and the share of good samples.

        Args:
            real: Not used, may be `None`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            A dictionary of floats: `modes`, the number of covered modes, and
            `high_quality`, the share of samples of high quality, from 0 to 1.
        """
        return self._details(self.prepare(real, generated)[1])

    def _details(self, generated: Tensor):
        if generated.shape[1] != self.centres.shape[1]:
            raise ValueError(
                "`generated` must have samples of the shape of the centers. "
                f"Received: samples with {generated.shape[1]} coordinates, "
                f"centers with {self.centres.shape[1]}."
            )
        # One mode at a time: all differences at once could fill the memory.
        distances = np.stack(
            [np.linalg.norm(generated - c, axis=1) for c in self.centres]
        )
        nearest = distances.argmin(axis=0)
        good = distances.min(axis=0) <= self.threshold * self.std
        counts = np.bincount(nearest[good], minlength=len(self.centres))
        return {
            "modes": float(np.sum(counts >= self.minimum_samples)),
            "high_quality": float(good.mean()),
        }

    def get_config(self) -> Config:
        return {
            "centres": self.centres.tolist(),
            "std": self.std,
            "threshold": self.threshold,
            "minimum_samples": self.minimum_samples,
            **super().get_config(),
        }


def _positive(name: str, value: Any):
    if not 0 < value < np.inf:
        raise ValueError(
            f"`{name}` must be positive and finite. Received: {name}={value!r}"
        )
    return float(value)
