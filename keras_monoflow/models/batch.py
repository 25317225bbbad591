"""A batch of data, in a round."""

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_monoflow.backend import replicas
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.typing import Tensor


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples of the data, the conditions beside them, and slices of both.

    Args:
        samples: Tensor `(rows, *sample_shape)`.
        labels: The conditions, a tensor of as many rows, or `None`.
        slices: How many parts `slice` cuts the batch into; 1 for none.
        weights: How much each row counts, `(rows,)`, or `None` for equally.
        mean_weight: The mean of the weights of all data, or `None` where it is
            not known, and that of the batch stands for it.
    """

    samples: Any
    labels: Any = None
    slices: int = 1
    weights: Any = None
    mean_weight: float | None = None

    @property
    def size(self) -> Any:
        """How many rows a slice has; those left over are left out."""
        return ops.shape(self.samples)[0] // self.slices

    def slice(self, i: Any) -> "Batch":
        """Returns slice `i`, a `Batch`."""
        if self.slices == 1:
            return self
        rows = self.samples, self.labels, self.weights
        samples, labels, weights = (self._cut(part, i) for part in rows)
        return Batch(
            samples, labels, weights=weights, mean_weight=self.mean_weight
        )

    def sample_weights(self) -> dict[str, Tensor]:
        """Returns the arguments by which losses and penalties are told weights.

        They have the mean 1 over the data, or over the batch. Where there are
        conditions, generated samples have those of the conditions that they are
        made for.
        """
        if self.weights is None:
            return {}
        weights = at_least_float32(self.weights)
        average = self.mean_weight
        if average is None:
            (average,) = replicas.mean([mean(weights)])
        weights = weights / ops.maximum(average, keras.config.epsilon())
        both = {"real_weight": weights, "fake_weight": weights}
        return {"real_weight": weights} if self.labels is None else both

    def _cut(self, rows, i):
        if rows is None:
            return None
        start = (i * self.size,) + (0,) * (len(rows.shape) - 1)
        return ops.slice(rows, start, (self.size, *rows.shape[1:]))
