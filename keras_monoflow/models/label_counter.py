"""Which labels a conditional model has been trained on."""

import keras
import numpy as np
from keras import ops

from keras_monoflow.backend import replicas
from keras_monoflow.typing import Array, ArrayLike, Tensor


class LabelCounter(keras.layers.Layer):
    """Counts the classes of integer labels, and draws some of them.

    Args:
        shape: Shape of the label of one sample. Integers have `()` or `(1,)`.
        name: Name of the layer.
        are_rows: Whether labels are rows of the numbers of several parts.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        name: str = "labels",
        are_rows: bool = False,
    ) -> None:
        super().__init__(name=name)
        self.shape, self.are_rows = tuple(shape), are_rows
        self.count = self.add_weight(
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            name="count",
        )
        self.built = True

    def update(self, labels: Tensor) -> None:
        """Counts the classes of a batch of labels, if they are integers."""
        if self.may_be_numbers and keras.backend.is_int_dtype(labels.dtype):
            highest = replicas.gather(ops.cast(ops.max(labels), "int32"))
            highest = ops.max(highest)
            self.count.assign(ops.maximum(self.count, highest + 1))

    @property
    def seen(self) -> bool:
        """Whether the model was trained on integer labels."""
        return int(ops.convert_to_numpy(self.count)) > 0

    @property
    def may_be_numbers(self) -> bool:
        """Whether labels have the shape of integers."""
        return self.shape in ((), (1,)) and not self.are_rows

    def draw(self, n: int, seed: int | None) -> Array:
        """Returns `n` labels, all that were seen being equally likely."""
        rng = np.random.default_rng(seed)
        shape = (n, *self.shape)
        return rng.integers(self._classes(), size=shape, dtype="int32")

    def first(self, n: int) -> Array:
        """Returns `0, 1, ...`, starting over after the last class."""
        labels = np.arange(n, dtype="int32") % self._classes()
        return labels.reshape(n, *self.shape)

    def _classes(self):
        if not self.seen:
            raise ValueError(
                "`labels` must be given: the model has not been trained on "
                "integer labels yet, so it does not know which there are."
            )
        return int(ops.convert_to_numpy(self.count))

    def check(self, labels: ArrayLike, n: int) -> Array:
        """Returns `n` labels as an array; one label stands for all."""
        labels = np.asarray(ops.convert_to_numpy(labels))
        if labels.shape == self.shape:
            labels = np.broadcast_to(labels, (n, *self.shape))
        if labels.shape != (n, *self.shape):
            raise ValueError(
                f"`labels` must have the shape {(n, *self.shape)}, one for "
                f"each sample, or {self.shape}. Received: labels of shape "
                f"{labels.shape}."
            )
        return labels


# Keras names groups in files by the class; those of version 0.1 say "labels".
LabelCounter.__name__ = "Labels"
