"""Where generators start from: noise, or samples of a source distribution."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_monoflow.backend import replicas
from keras_monoflow.models.array_sampler import ArraySampler
from keras_monoflow.registry import lookup
from keras_monoflow.typing import Seed, Tensor

#: How many latent points a function draws to be checked.
CHECKED = 64


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
            a `tf.data.Dataset`, are read into an array. `None` for no latent
            points: the generator takes a condition alone.
        latent_shape: Shape of one latent point.

    Raises:
        TypeError: If it is nothing of this.
        ValueError: If a name is unknown, the shapes do not fit, or a function
            gives other points for the same seed.
    """

    def __init__(self, spec: Any, latent_shape: tuple[int, ...]) -> None:
        super().__init__(name="prior")
        self.latent_shape = tuple(latent_shape)
        self.rows: ArraySampler | None = None
        self.function: Any = None
        if spec is None:
            pass
        elif isinstance(spec, str):
            self.function = lookup(spec, NAMED, "prior")
        elif isinstance(spec, dict) and "class_name" in spec:
            spec = self.function = keras.saving.deserialize_keras_object(spec)
        elif callable(spec):
            check_draws(spec, self.latent_shape)
            self.function = spec
        elif isinstance(spec, dict) and set(spec) != {"rows"}:
            raise TypeError(
                "`prior` must be a name, a function, an array or `None`. "
                f"Received: prior={dict(spec)}."
            )
        else:
            # In a configuration, the values come with the weights.
            array = spec
            if isinstance(spec, dict):
                array = np.zeros((spec["rows"], *latent_shape), "float32")
            self.rows = ArraySampler(
                array, latent_shape, argument="prior", name="rows"
            )
            spec = self.function = None
        self.spec = spec
        self.built = True

    @property
    def draws(self) -> bool:
        """Whether there are latent points."""
        return self.rows is not None or self.function is not None

    @property
    def is_normal(self) -> bool:
        """Whether latent points are standard normal."""
        return self.function is NAMED["normal"]

    def draw(self, n: Any, seed: Seed) -> Tensor | None:
        """Returns `(n, *latent_shape)`, or `None` where there are no latent
        points; `n` may be a tensor while tracing."""
        if not self.draws:
            return None
        if self.rows is not None:
            return self.rows.draw(n, seed)
        shape = (n, *self.latent_shape)
        return replicas.draw(self.function, shape, "float32", seed)

    def serialize_spec(self) -> Any:
        """The prior as it stands in a model's configuration."""
        if self.rows is not None:
            return {"rows": len(self.rows)}
        if self.spec is None or isinstance(self.spec, str):
            return self.spec
        return keras.saving.serialize_keras_object(self.spec)


def check_draws(function: Any, latent_shape: tuple[int, ...]) -> None:
    """Raises an error unless the same seed gives the same points, and warns if
    all seeds do.

    A function that draws by NumPy does so once, while the step is compiled, and
    all rounds would have the same latent points.
    """
    shape = (CHECKED, *latent_shape)
    first, again, other = (
        keras.ops.convert_to_numpy(function(shape, dtype="float32", seed=seed))
        for seed in (0, 0, 1)
    )
    if not np.array_equal(first, again):
        raise ValueError(
            "A function given as `prior` must draw from its `seed`, as those "
            "of `keras.random` do. NumPy would draw once, while the step is "
            f"compiled. Received: prior={name_of(function)}."
        )
    if np.array_equal(first, other):
        warnings.warn(
            "The function given as `prior` returns the same points for all "
            "seeds, so that all rounds have the same. Let it draw from its "
            f"`seed`, as those of `keras.random` do: {name_of(function)}.",
            stacklevel=3,
        )


def name_of(function: Any) -> str:
    return getattr(function, "__name__", repr(function))
