"""Feature extractors: how they are called, and what they must give."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_monoflow.metrics.base import check_finite, to_numpy
from keras_monoflow.typing import Array, ArrayLike

#: A Keras model or layer, or a function of a NumPy array.
Extractor: TypeAlias = Callable[..., Any]

# Rows that are worked on at a time where no extractor sets the size.
BLOCK = 1024


def is_network(extractor: Any) -> bool:
    """Returns whether the extractor has weights that Keras knows."""
    return isinstance(extractor, keras.layers.Layer)


def apply(extractor: Extractor, batch: ArrayLike) -> Any:
    """Returns what an extractor or classifier gives for a batch, as NumPy.

    A model predicts, other layers are called with `training=False`; any other
    callable is given the NumPy array. None of this draws random numbers.

    Args:
        extractor: A `keras.Model`, a `keras.Layer` or a callable.
        batch: NumPy array of shape `(b, ...)`.

    Returns:
        A NumPy array, or what the extractor gave if it is not a single tensor.
    """
    if isinstance(extractor, keras.Model):
        outputs = extractor.predict_on_batch(batch)
    elif is_network(extractor):
        outputs = extractor(batch, training=False)
    else:
        outputs = extractor(batch)
    if isinstance(outputs, (tuple, list, dict)):
        return outputs
    return to_numpy(outputs)


def apply_checked(role: str, extractor: Extractor, batch: Array) -> Array:
    """Returns what `apply` does, checked to be finite and of shape `(b, d)`.

    Args:
        role: String, the argument that errors name.
        extractor: As in `apply`.
        batch: NumPy array of shape `(b, ...)`.

    Returns:
        A NumPy array of shape `(b, d)`.

    Raises:
        ValueError: If the output is anything else.
    """
    rows = apply(extractor, batch)
    shape = getattr(rows, "shape", None)
    if shape is None:
        raise ValueError(
            f"`{role}` must return one array of shape (n, d). Received: "
            f"{type(rows).__name__} of {len(rows)}. Choose one output."
        )
    if len(shape) != 2 or shape[0] != len(batch) or shape[1] == 0:
        raise ValueError(
            f"`{role}` must return one row per sample, an array of shape "
            f"(n, d). Received: shape {shape} for a batch of shape "
            f"{batch.shape}. Add pooling or flattening to it."
        )
    bad = np.count_nonzero(~np.isfinite(rows).all(axis=1))
    if bad:
        raise ValueError(
            f"`{role}` must return finite values. Received: {bad} of "
            f"{len(rows)} rows with NaN or infinite values. Check the range "
            "of the samples."
        )
    return rows


class Features:
    """The features of a set of samples, which are made block by block.

    Args:
        name: String, the name of the samples in errors.
        samples: NumPy array of shape `(n, ...)`.
        extractor: As in `apply`; `None` flattens the samples.
        batch_size: Integer, the samples that the extractor gets at a time.
    """

    def __init__(
        self,
        name: str,
        samples: Array,
        extractor: Extractor | None = None,
        batch_size: int = 256,
    ) -> None:
        self.name = name
        self.samples = samples
        self.extractor = extractor
        self.batch_size = BLOCK if extractor is None else batch_size

    def __len__(self) -> int:
        return len(self.samples)

    def batches(self) -> Iterator[Array]:
        """Yields arrays of shape `(b, d)` in the precision they come in."""
        check_finite(self.name, self.samples)
        width = None
        for start in range(0, len(self), self.batch_size):
            batch = self.samples[start : start + self.batch_size]
            if self.extractor is None:
                yield batch.reshape(len(batch), -1)
                continue
            rows = apply_checked("feature_extractor", self.extractor, batch)
            width = width or rows.shape[1]
            if rows.shape[1] != width:
                raise ValueError(
                    "`feature_extractor` must return rows of one length. "
                    f"Received: {width} and {rows.shape[1]} features."
                )
            yield rows

    def blocks(self) -> Iterator[Array]:
        """Yields float64 arrays of shape `(b, d)`."""
        for rows in self.batches():
            yield rows.astype("float64")

    def gather(self) -> Array:
        """Returns all rows in one array: without an extractor, a view."""
        if self.extractor is None:
            check_finite(self.name, self.samples)
            return self.samples.reshape(len(self), -1)
        batches = self.batches()
        first = next(batches)
        gathered = np.empty((len(self), first.shape[1]), first.dtype)
        start = 0
        for rows in itertools.chain([first], batches):
            gathered[start : start + len(rows)] = rows
            start += len(rows)
        return gathered
