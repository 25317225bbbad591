"""Checks of data before any time is spent on them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.data import is_array
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


def samples_of(batch: Any) -> Array:
    """Returns the samples of one batch as an array, without labels."""
    batch = batch[0] if isinstance(batch, (tuple, list)) else batch
    if isinstance(batch, dict):
        check_structure(batch, "A flow")
    return ops.convert_to_numpy(batch)


def check_structure(x: Any, owner: str) -> None:
    """Checks that `x` of `fit`, or a batch, is samples and not several things.

    Raises:
        ValueError: For `None`, dictionaries, lists, text, objects and empty
            arrays.
    """
    if x is None:
        raise ValueError(
            f"`x` must be given: the samples that {owner} learns from, an "
            "array or a data set. Received: x=None."
        )
    if isinstance(x, dict):
        keys = sorted(map(str, x))
        raise ValueError(
            f"{owner} takes one array of samples, but the data are a dict with "
            f"the keys {keys}. Choose the samples, as in `dataset.map(lambda "
            f"d: d[{keys[0]!r}])` for tf.data, or with `fit(data[{keys[0]!r}])`"
            "; with labels, as a pair `(samples, labels)`."
        )
    if isinstance(x, (list, tuple)):
        raise ValueError(
            f"{owner} takes one array of samples as `x`, but received a "
            f"{type(x).__name__} of {len(x)}. Pass `np.stack(...)` or "
            "`np.concatenate(...)` of what it holds; labels come as `y`."
        )
    if not is_array(x):
        return
    check_has_rows(x)
    if getattr(getattr(x, "dtype", None), "kind", "f") in "OSUV":
        raise ValueError(
            "`x` must hold numbers. Received an array of dtype "
            f"{str(x.dtype)!r}: convert it, for instance with "
            "`np.stack(x).astype('float32')`."
        )


def stream_in_bytes(x: Any) -> bool:
    """Returns whether the images of a stream that can be read again look like
    integers in 0..255.

    It reads one batch of a `tf.data.Dataset` or a `DataLoader`, and leaves the
    random numbers of the latter as they were.
    """
    kinds = {kind.__module__.split(".")[0] for kind in type(x).__mro__}
    if "tensorflow" in kinds and hasattr(x, "take"):
        batch = next(iter(x.take(1)), None)
    elif "torch" in kinds and hasattr(x, "batch_size"):
        import torch

        with torch.random.fork_rng(devices=[]):
            batch = next(iter(x), None)
    else:
        return False
    return batch is not None and in_bytes(samples_of(batch))


def check_has_rows(x: Any) -> None:
    """Checks that an array is not empty; other data may be anything."""
    if is_array(x) and not len(x):
        raise ValueError(
            "`x` must hold samples. Received an empty array of shape "
            f"{tuple(x.shape)}."
        )


def in_bytes(batch: Array) -> bool:
    """Returns whether a batch looks like images of integers in 0..255."""
    if batch.ndim < 3 or not batch.size:
        return False
    in_range = batch.min() >= 0 and 1.0 < batch.max() <= 255
    whole = batch.dtype.kind in "iu" or np.all(batch == np.round(batch))
    return bool(in_range and whole)


def check_data(
    x: Any,
    sample_shape: tuple[int, ...],
    owner: str,
    batch_size: int,
    argument: str = "x",
) -> bool:
    """Checks shape, finiteness and range of the first batch.

    Args:
        x: The data.
        sample_shape: The shape that samples must have.
        owner: What has this shape, for the error message.
        batch_size: How many rows to look at.
        argument: What the error message calls the data.

    Returns:
        Whether the data look like images in 0..255.
    """
    batch = first_batch(x, batch_size)
    if batch is None or batch.dtype == object:
        return False
    if batch.shape[1:] != tuple(sample_shape) and None not in sample_shape:
        raise ValueError(
            f"`{argument}` has samples of shape {batch.shape[1:]}, but those "
            f"of the {owner} have {tuple(sample_shape)}."
        )
    if batch.dtype.kind == "f" and not np.isfinite(batch).all():
        bad = batch[~np.isfinite(batch)][0]
        raise ValueError(
            f"`{argument}` has {bad} among its first {len(batch)} samples. "
            "They must be finite: remove or replace these values."
        )
    return in_bytes(batch)


def check_split(size: Any, steps: int, role: str) -> None:
    """Checks that a batch of `size` samples can be cut into `steps` slices.

    In a graph of TensorFlow, the size is a tensor and the check runs there.
    """
    message = (
        f"`split_batch=True` cuts each batch into {role}_steps={steps} "
        "slices, but a batch has {} samples. Raise `batch_size`, or drop the "
        "ragged last batch."
    )
    _check_at_least(size, steps, message)


def check_packs(size: Any, pack: int) -> None:
    """Checks that `size` samples, of a batch or of a slice, fill a group."""
    message = (
        f"`pack={pack}` shows the discriminator groups of {pack} samples, but "
        "a batch, or its part in a step, has {}. Raise `batch_size`, or drop "
        "the ragged last batch."
    )
    _check_at_least(size, pack, message)


def _check_at_least(size: Any, minimum: int, message: str) -> None:
    """Checks a size, which is put into the message."""
    if not isinstance(size, int):
        gradients.assert_at_least(size, minimum, message.format("fewer"))
    elif size < minimum:
        raise ValueError(message.format(size))


BYTE_RANGE_WARNING = (
    "The images look like integers in 0..255. Generators that end in tanh make "
    "values in [-1, 1]: scale the data with `x / 127.5 - 1`."
)
