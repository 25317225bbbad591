"""An array that a compiled step draws rows from."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.backend import replicas
from keras_monoflow.typing import ArrayLike, Seed, Tensor


class ArraySampler(keras.layers.Layer):
    """Holds an array of samples as a variable.

    A closure under `jit` would bake the array into the program; a variable
    also goes into the files with the weights.

    Args:
        array: Array `(rows, *shape)`. Other iterables of batches, such as
            a `tf.data.Dataset`, are read into an array.
        shape: Shape of one row.
        argument: What error messages call the array.
        name: Name of the layer.

    Raises:
        TypeError: If it is neither an array nor an iterable.
        ValueError: If the shapes do not fit.
    """

    def __init__(
        self,
        array: ArrayLike,
        shape: tuple[int, ...],
        argument: str,
        name: str,
    ) -> None:
        super().__init__(name=name)
        array = _read(array, argument)
        if array.shape[1:] != tuple(shape) or not len(array):
            raise ValueError(
                f"An array given as `{argument}` must have the shape (rows, "
                f"{str(tuple(shape))[1:]}, as the network takes it. Received: "
                f"{argument} of shape {array.shape}."
            )
        if not np.isfinite(array).all():
            bad = array[~np.isfinite(array)][0]
            raise ValueError(
                f"`{argument}` must be finite, but it has {bad} among its "
                "values: remove or replace them."
            )
        self.values = self.add_weight(
            shape=array.shape,
            dtype="float32",
            initializer="zeros",
            trainable=False,
            name="rows",
        )
        self.values.assign(array)
        self.built = True

    def __len__(self):
        return self.values.shape[0]

    def draw(self, n: Any, seed: Seed) -> Tensor:
        """Returns `n` rows drawn with replacement."""
        # A uniform float, because some backends want static integer bounds.
        u = replicas.draw(keras.random.uniform, (n,), "float32", seed)
        index = ops.minimum(ops.cast(u * len(self), "int32"), len(self) - 1)
        return ops.take(self.values.value, index, axis=0)


# Keras names groups in files by the class; those of version 0.1 say "rows".
ArraySampler.__name__ = "Rows"


def _read(data, argument):
    """Reads an array, or an iterable of batches, into one float32 array."""
    if not hasattr(data, "shape"):
        if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
            raise TypeError(
                f"`{argument}` must be an array of shape (rows, ...), or an "
                f"iterable of such batches. Received: {argument}={data!r}."
            )
        is_list = isinstance(data, (list, tuple)) and len(data) > 0
        if is_list and not any(map(_is_batch, data)):
            return np.asarray(data, "float32")
        batches = [b[0] if isinstance(b, (tuple, list)) else b for b in data]
        batches = [ops.convert_to_numpy(b) for b in batches]
        if not batches:
            raise ValueError(
                f"`{argument}` must have rows, but it is empty. Received: "
                f"{argument}={data!r}."
            )
        data = np.concatenate(batches)
    return ops.convert_to_numpy(data).astype("float32")


def _is_batch(entry):
    first = entry[0] if isinstance(entry, (tuple, list)) and entry else entry
    return hasattr(first, "shape")
