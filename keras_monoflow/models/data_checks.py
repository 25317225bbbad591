"""Checks of data before any time is spent on them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.backend import keras_internals
from keras_monoflow.typing import Array


def first_batch(x: Any, batch_size: int) -> Array | None:
    """Returns the first rows of arrays and of `PyDataset`s, else `None`.

    Streams are left alone: looking at them would consume their state.
    """
    if isinstance(x, keras.utils.PyDataset):
        return samples_of(x[0])
    if is_array(x):
        return np.asarray(ops.convert_to_numpy(x[:batch_size]))
    return None


def smallest_batch(x: Any, batch_size: int) -> int | None:
    """Returns the size of the smallest batch of an epoch, or `None`."""
    if isinstance(x, keras.utils.PyDataset):
        batches = x.num_batches
        return len(samples_of(x[batches - 1])) if batches else None
    if is_array(x):
        return len(x) % batch_size or batch_size
    return None


def is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "__getitem__")


def samples_of(batch: Any) -> Array:
    batch = batch[0] if isinstance(batch, (tuple, list)) else batch
    return ops.convert_to_numpy(batch)


def check_data(
    x: Any, sample_shape: tuple[int, ...], batch_size: int, argument: str = "x"
) -> bool:
    """Checks shape, finiteness and range of the first batch.

    Returns:
        Whether the data look like images in 0..255.
    """
    batch = first_batch(x, batch_size)
    if batch is None or batch.dtype == object:
        return False
    if batch.shape[1:] != tuple(sample_shape) and None not in sample_shape:
        raise ValueError(
            f"`{argument}` has samples of shape {batch.shape[1:]}, but the "
            f"discriminator takes {tuple(sample_shape)}."
        )
    if batch.dtype.kind == "f" and not np.isfinite(batch).all():
        bad = batch[~np.isfinite(batch)][0]
        raise ValueError(
            f"`{argument}` has {bad} among its first {len(batch)} samples. "
            "They must be finite: remove or replace these values."
        )
    in_bytes = batch.min() >= 0 and 1.0 < batch.max() <= 255
    whole = batch.dtype.kind in "iu" or np.all(batch == np.round(batch))
    return bool(batch.ndim >= 3 and in_bytes and whole)


def check_split(size: int, steps: int, role: str) -> None:
    """Checks that a batch of `size` samples can be cut into `steps` slices."""
    if size < steps:
        raise ValueError(
            f"`split_batch=True` cuts each batch into {role}_steps={steps} "
            f"slices, but a batch has {size} samples. Raise "
            "`batch_size`, or drop the ragged last batch."
        )


def check_labels(y: Any, conditional: bool, owner: str) -> None:
    """Checks that there are labels if and only if the networks take them."""
    if y is not None and not conditional:
        raise ValueError(
            f"{owner} is unconditional here, since its networks take no "
            "labels, but the data come with labels. Pass `fit(x)` the samples "
            "alone, for example `dataset.map(lambda x, y: x)`, or networks "
            "that take `[z, y]` and `[x, y]`."
        )
    if y is None and conditional:
        raise ValueError(
            f"{owner} is conditional here, since its networks take labels, "
            "but the data come without. Pass `fit(x, y)`, or a data set of "
            "pairs."
        )


def check_label_range(y: Any, networks: list[keras.Model]) -> None:
    """Checks integer labels against the classes that the networks know.

    Labels out of range would give NaN, or rows of other classes.
    """
    y = np.asarray(ops.convert_to_numpy(y))
    classes = [
        layer.classes
        for network in networks
        for layer in keras_internals.layers_of(network)
        if isinstance(getattr(layer, "classes", None), int)
    ]
    if not classes or y.dtype.kind not in "iu":
        return
    bad = y[(y < 0) | (y >= min(classes))]
    if bad.size:
        raise ValueError(
            f"`y` must have labels from 0 to {min(classes) - 1}, for the "
            f"{min(classes)} classes of the networks. Received: {bad[0]}."
        )


def check_unweighted(weight: Any, owner: str) -> None:
    """Checks that no sample weights come with the data."""
    if weight is not None:
        raise ValueError(
            f"{owner} takes no sample weights: pass the samples, and labels "
            "if the networks take them."
        )


BYTE_RANGE_WARNING = (
    "The images look like integers in 0..255. Generators that end in tanh make "
    "values in [-1, 1]: scale the data with `x / 127.5 - 1`."
)
