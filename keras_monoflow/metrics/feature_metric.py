"""The base of the metrics that look at features of samples."""

import abc
import dataclasses
from typing import Any

from keras_monoflow.arguments import check_integer
from keras_monoflow.metrics.base import as_samples, check_same_shape
from keras_monoflow.metrics.features import Extractor, Features
from keras_monoflow.metrics.network_argument import NetworkArgument
from keras_monoflow.metrics.real_side import RealSide, checksum
from keras_monoflow.typing import Array, ArrayLike, Config


@dataclasses.dataclass
class Side:
    """What a metric computes from one set of samples.

    Attributes:
        width: Integer d, the number of features.
        statistics: What `FeatureMetric.statistics` returned.
        rows: Array of shape `(n, d)`; `None` if the metric does not need it.
    """

    width: int
    statistics: Any
    rows: Any = None


class FeatureMetric(NetworkArgument):
    """Base class of metrics of features, whose real side is computed once.

    A subclass writes `statistics(name, features)`, what it needs to know of
    one set, and `compute(real, generated)` with two `Side`s. Both sets go
    through the extractor in batches.

    If the same array or tensor is passed as `real` again, its side is not
    computed again. It is known by identity, and its values and the weights of
    a Keras extractor by a checksum. An extractor that is a plain function
    cannot be seen to change: call `forget` if it does.

    Args:
        feature_extractor: A `keras.Model`, `keras.Layer` or callable that maps
            a batch of samples to an array of shape `(b, d)`; `None` flattens
            the samples. A callable is given NumPy arrays.
        batch_size: Integer, the samples that the extractor gets at a time.
        name: String.
    """

    needs_rows = True

    def __init__(
        self,
        feature_extractor: Extractor | None = None,
        batch_size: int = 256,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if feature_extractor is not None:
            self._check_callable(feature_extractor)
        self.feature_extractor = feature_extractor
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        self._real_side = RealSide()

    @abc.abstractmethod
    def statistics(self, name: str, features: Any) -> Any:
        """Computes what the metric needs of one set.

        Args:
            name: String, `"real"` or `"generated"`, for errors.
            features: Array of shape `(n, d)` if `needs_rows`, else an iterator
                over float64 arrays of shape `(b, d)`.
        """

    def settings(self) -> Config:
        return {"batch_size": self.batch_size}

    def prepare(
        self, real: ArrayLike, generated: ArrayLike
    ) -> tuple[Side, Side]:
        """Checks both sets and computes their sides.

        Args:
            real: Array or tensor of shape `(n, ...)`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            Two `Side`s.
        """
        real_samples = as_samples("real", real)
        generated = as_samples("generated", generated)
        check_same_shape(real_samples, generated)
        network = self.feature_extractor, self._check_weights()
        real = self._real_side.get(
            real,
            (*network, repr(self.settings()), checksum(real_samples)),
            lambda: self._side("real", real_samples, keep=True),
        )
        generated = self._side("generated", generated)
        if real.width != generated.width:
            raise ValueError(
                "`feature_extractor` must return rows of one length. Received: "
                f"{real.width} features of real samples and {generated.width} "
                "of generated ones."
            )
        if self.needs_rows and real.rows is None:
            rows = real_samples.reshape(len(real_samples), -1)
            real = dataclasses.replace(real, rows=rows)
        return real, generated

    def _side(self, name: str, samples: Array, keep: bool = False) -> Side:
        features = Features(
            name, samples, self.feature_extractor, self.batch_size
        )
        if not self.needs_rows:
            statistics = self.statistics(name, features.blocks())
            return Side(statistics.width, statistics)
        rows = features.gather()
        side = Side(rows.shape[1], self.statistics(name, rows), rows)
        if keep and self.feature_extractor is None:
            # Rows that are a view of the samples would keep these alive.
            side.rows = None
        return side

    def forget(self) -> None:
        """Drops what is remembered of the real samples."""
        self._real_side.forget()
