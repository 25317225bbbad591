"""The space in which samples move: their own, or that of frozen features."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.backend import replicas
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Tensor
from keras_monoflow.velocities.differences import (
    safe_sqrt,
    squared_distances,
)


class SampleSpace:
    """The space of the samples themselves."""

    def position(self, x: Tensor) -> Tensor:
        """Returns where samples are in this space, in at least float32."""
        return at_least_float32(x)

    def real_position(self, x: Tensor) -> Tensor:
        """Returns where the real samples of the batch are."""
        return self.position(x)

    def maps(self, position: Tensor) -> list[Tensor]:
        """Returns the parts of positions that have velocities of their own."""
        return [position]

    def join(self, maps: list[Tensor]) -> Tensor:
        """Returns the positions, or velocities, that such parts make up."""
        return maps[0]

    def pull_back(self, cotangent: Tensor, x: Tensor) -> Tensor:
        """Returns `J^T cotangent`, with the Jacobian `J` of `position` at `x`.

        Args:
            cotangent: Tensor of the shape of `position(x)`.
            x: Samples, `(n, *sample_shape)`.
        """
        return cotangent


class FeatureSpace(SampleSpace):
    """The space of the outputs of a frozen network, side by side.

    Each output is flattened and multiplied by a number, so that real samples
    have the mean distance `sqrt(size)` in it: no output outweighs the others,
    and a velocity has the same meaning in all.

    Args:
        features: A `keras.Model` from samples to one or several outputs, or a
            function that calls one. It runs in inference mode.
        real: The real samples of the batch, which set the scales,
            `(m, *sample_shape)`.
    """

    def __init__(self, features: Any, real: Tensor) -> None:
        self._features = features
        maps = [ops.stop_gradient(m) for m in self._maps_of(real)]
        self._scales = [_scale(replicas.all_rows(m)) for m in maps]
        self._sizes = [m.shape[1] for m in maps]
        self._real = self.join([s * m for s, m in zip(self._scales, maps)])

    def _maps_of(self, x: Tensor) -> list[Tensor]:
        outputs = keras.tree.flatten(self._features(x, training=False))
        return [_flat(at_least_float32(output)) for output in outputs]

    def position(self, x: Tensor) -> Tensor:
        maps = zip(self._scales, self._maps_of(x))
        return self.join([scale * m for scale, m in maps])

    def real_position(self, x: Tensor) -> Tensor:
        return self._real

    def maps(self, position: Tensor) -> list[Tensor]:
        if len(self._sizes) == 1:
            return [position]
        ends = np.cumsum(self._sizes)
        starts = ends - self._sizes
        return [position[:, a:b] for a, b in zip(starts, ends)]

    def join(self, maps: list[Tensor]) -> Tensor:
        return ops.concatenate(maps, axis=1) if len(maps) > 1 else maps[0]

    def pull_back(self, cotangent: Tensor, x: Tensor) -> Tensor:
        cotangent = ops.stop_gradient(cotangent)
        return gradients.input_gradient(
            lambda x: ops.sum(self.position(x) * cotangent, axis=1), x
        )


def _flat(x: Tensor) -> Tensor:
    """Returns rows as `(n, d)`."""
    return ops.reshape(x, (-1, int(np.prod(x.shape[1:], dtype="int64"))))


def _scale(rows: Tensor) -> Tensor:
    """Returns what the mean distance of rows has to be multiplied by to be
    `sqrt(size)`; 1 where all rows are the same."""
    distances = safe_sqrt(squared_distances(rows, rows))
    n = ops.cast(ops.shape(rows)[0], rows.dtype)
    # A row has no distance to itself.
    mean = ops.sum(distances) / ops.maximum(n * (n - 1.0), 1.0)
    scale = rows.shape[1] ** 0.5 / ops.maximum(mean, 1e-12)
    return ops.where(mean > 1e-12, scale, ops.ones_like(scale))


#: The space where there are no features.
SAMPLES: Any = SampleSpace()
