"""The interface of the metrics, and the checks they share."""

import abc
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np

from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array, ArrayLike, Config


class DistributionMetric(abc.ABC):
    """Base class of metrics that compare two sets of samples.

    A metric is called with arrays or tensors of any backend and returns a
    float. Unlike a `keras.metrics.Metric` it is not a running mean over
    batches: a distance between distributions has to see all samples at once.

    A subclass sets `default_name` and `direction`, writes
    `compute(real, generated)` and, if it has arguments, extends `get_config`.
    Register it with `keras.saving.register_keras_serializable` to have it
    saved with its settings.

    Args:
        name: String, the name under which the value is logged. Defaults to
            the class's `default_name`.

    Attributes:
        direction: `"min"` if smaller values are better, else `"max"`.
        needs_real: Whether the metric looks at the real samples; where it does
            not, `real` may be `None`.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    class MeanShift(kmf.metrics.DistributionMetric):
        default_name = "mean_shift"

        def compute(self, real, generated):
            return np.linalg.norm(real.mean(axis=0) - generated.mean(axis=0))

    print(MeanShift()(np.zeros((5, 2)), np.ones((7, 2))))  # 1.414...
    ```
    """

    default_name = "distribution_metric"
    direction = "min"
    needs_real = True

    def __init__(self, name: str | None = None) -> None:
        self.name = self.default_name if name is None else str(name)

    def __call__(self, real: ArrayLike | None, generated: ArrayLike) -> float:
        """Compares two sets of samples.

        Args:
            real: Array or tensor of shape `(n, ...)`.
            generated: Array or tensor of shape `(m, ...)`, with the same shape
                of a sample.

        Returns:
            A Python float.

        Raises:
            ValueError: If a set is empty or has values that are not finite, or
                if the shapes of the samples differ.
        """
        return float(self.compute(*self.prepare(real, generated)))

    @abc.abstractmethod
    def compute(self, real: Any, generated: Any) -> float:
        """Computes the value from what `prepare` returned.

        Args:
            real: Float64 NumPy array of shape `(n, d)`, or `None`.
            generated: Float64 NumPy array of shape `(m, d)`.

        Returns:
            A number.
        """

    def prepare(
        self, real: ArrayLike | None, generated: ArrayLike
    ) -> tuple[Any, Any]:
        """Checks both sets and flattens their samples to float64 rows.

        Args:
            real: Array or tensor of shape `(n, ...)`, or `None`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            Two float64 NumPy arrays, of shapes `(n, d)` and `(m, d)`; the first
            is `None` if the metric does not need it.
        """
        if not self.needs_real:
            return None, flatten_samples("generated", generated)
        real, generated = to_numpy(real), to_numpy(generated)
        check_same_shape(real, generated)
        return (
            flatten_samples("real", real),
            flatten_samples("generated", generated),
        )

    def get_config(self) -> Config:
        """Returns the arguments of the metric as a dictionary."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Makes the metric from what `get_config` returned."""
        return cls(**config)


def to_numpy(x: ArrayLike) -> Array:
    """Returns an array or tensor as a NumPy array, without a copy if it is one.

    Keras would copy a NumPy array on some backends, by way of a tensor.
    """
    if isinstance(x, np.ndarray):
        return x
    return keras.ops.convert_to_numpy(x)


def check_same_shape(real: Array, generated: Array) -> None:
    """Raises an error unless samples of both arrays have one shape."""
    if real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            "`real` and `generated` must have samples of one shape. "
            f"Received: real.shape={real.shape}, "
            f"generated.shape={generated.shape}"
        )


def as_samples(name: str, samples: ArrayLike) -> Array:
    """Returns samples as a NumPy array, or raises an error if there are none.

    Args:
        name: String, the name of the argument in errors.
        samples: Array or tensor of shape `(n, ...)`.

    Returns:
        A NumPy array of the same shape; no copy where none is needed.
    """
    samples = to_numpy(samples)
    if samples.ndim == 0 or samples.size == 0:
        raise ValueError(
            f"`{name}` must hold at least one sample, in an array of shape "
            f"(n, ...). Received: {name}.shape={samples.shape}"
        )
    return samples


def check_finite(name: str, samples: Array, block: int = 1024) -> None:
    """Raises an error that counts the samples with NaN or infinite values.

    Args:
        name: String, the name of the argument in errors.
        samples: NumPy array of shape `(n, ...)`.
        block: Integer, the samples that are looked at together.
    """
    bad = 0
    for start in range(0, len(samples), block):
        rows = samples[start : start + block]
        finite = np.isfinite(rows.reshape(len(rows), -1))
        bad += int(np.count_nonzero(~finite.all(axis=1)))
    if bad:
        raise ValueError(
            f"`{name}` must be finite. Received: {bad} of {len(samples)} "
            "samples with NaN or infinite values. If they are generated, the "
            "training has diverged."
        )


def flatten_samples(name: str, samples: ArrayLike) -> Array:
    """Returns samples as float64 rows, or raises an error that names them.

    Args:
        name: String, the name of the argument in errors.
        samples: Array or tensor of shape `(n, ...)`.

    Returns:
        A float64 NumPy array of shape `(n, d)`.
    """
    samples = as_samples(name, samples)
    rows = samples.reshape(len(samples), -1).astype("float64")
    check_finite(name, rows)
    return rows


def _needs(arguments: str) -> Callable[[], Any]:
    def make() -> Any:
        raise ValueError(
            f"This metric is not known by name alone, since it takes "
            f"arguments: pass `keras_monoflow.metrics.{arguments}`."
        )

    return make


#: Metrics that cannot be made of their names, which logs show.
_NEED_ARGUMENTS = {
    "mode_coverage": _needs("ModeCoverage(centers, std)"),
    "class_coverage": _needs("ClassCoverage(classifier)"),
}


def get(metrics: Any) -> list[DistributionMetric]:
    """Returns a list of metrics.

    Args:
        metrics: A name such as `"wasserstein_distance"`, a
            `DistributionMetric`, or a list of these.

    Raises:
        ValueError: If a name is unknown.
        TypeError: If an entry is neither.
    """
    entries = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    made = [
        METRICS.make(e, **_NEED_ARGUMENTS) if isinstance(e, str) else e
        for e in entries
    ]
    for metric in made:
        if not isinstance(metric, DistributionMetric):
            raise TypeError(
                "`metrics` must be names such as 'wasserstein_distance', or "
                "`keras_monoflow.metrics.DistributionMetric`s. Received: "
                f"{metric!r}."
            )
    return made
