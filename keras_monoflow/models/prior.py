"""Where generators start from: noise, or samples of a source distribution."""

import keras
import numpy as np
from keras import ops

from keras_monoflow.naming import lookup


def _symmetric_uniform(shape, dtype=None, seed=None):
    return keras.random.uniform(shape, -1.0, 1.0, dtype=dtype, seed=seed)


NAMED = {"normal": keras.random.normal, "uniform": _symmetric_uniform}


class Prior(keras.layers.Layer):
    """Draws the latent points that a generator maps to samples.

    Args:
        spec: `"normal"` (standard normal), `"uniform"` (on `[-1, 1]`), a
            function `f(shape, dtype=..., seed=...)` like those of
            `keras.random`, or an array `(rows, *latent_shape)` from which rows
            are drawn with replacement. Other iterables of batches, such as
            a `tf.data.Dataset`, are read into an array.
        latent_shape: Shape of one latent point.

    Raises:
        ValueError: If a name is unknown, or the shapes do not fit.
    """

    def __init__(self, spec, latent_shape):
        super().__init__(name="prior")
        self.latent_shape = tuple(latent_shape)
        self.rows = None
        self.function = None
        if isinstance(spec, str):
            self.spec = spec
            self.function = lookup(spec, NAMED, "prior")
        elif isinstance(spec, dict) and "rows" in spec:
            # From a configuration: the values come with the weights.
            self._hold(np.zeros((spec["rows"], *latent_shape), "float32"))
        elif isinstance(spec, dict):
            self.spec = keras.saving.deserialize_keras_object(spec)
            self.function = self.spec
        elif callable(spec):
            self.spec = self.function = spec
        else:
            self._hold(_read(spec))
        self.built = True

    def _hold(self, array):
        if array.shape[1:] != self.latent_shape or not len(array):
            raise ValueError(
                "An array given as `prior` must have the shape (rows, "
                "*latent_shape) that the generator takes, here (rows, "
                f"{str(self.latent_shape)[1:]}. Received: prior of shape "
                f"{array.shape}."
            )
        self.spec = None
        self.rows = self.add_weight(
            shape=array.shape,
            dtype="float32",
            initializer="zeros",
            trainable=False,
            name="rows",
        )
        self.rows.assign(array)

    def draw(self, n, seed):
        """Returns `(n, *latent_shape)`; `n` may be a tensor while tracing."""
        if self.rows is None:
            return self.function(
                (n, *self.latent_shape), dtype="float32", seed=seed
            )
        # A uniform float, because some backends want static integer bounds.
        rows = self.rows.shape[0]
        u = keras.random.uniform((n,), dtype="float32", seed=seed)
        index = ops.minimum(ops.cast(u * rows, "int32"), rows - 1)
        return ops.take(self.rows.value, index, axis=0)

    def serialize_spec(self):
        """The prior as it stands in a model's configuration."""
        if self.rows is not None:
            return {"rows": self.rows.shape[0]}
        if isinstance(self.spec, str):
            return self.spec
        return keras.saving.serialize_keras_object(self.spec)


def _read(data):
    """Reads an array, or an iterable of batches, into one float32 array."""
    if not hasattr(data, "shape"):
        batches = [b[0] if isinstance(b, (tuple, list)) else b for b in data]
        batches = [ops.convert_to_numpy(b) for b in batches]
        data = np.concatenate(batches)
    return ops.convert_to_numpy(data).astype("float32")
