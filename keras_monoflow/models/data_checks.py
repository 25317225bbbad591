"""Checks of data before any time is spent on them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.backend import keras_internals
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
    if not len(x):
        raise ValueError(
            "`x` must hold samples. Received an empty array of shape "
            f"{tuple(x.shape)}."
        )
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


def in_bytes(batch: Array) -> bool:
    """Returns whether a batch looks like images of integers in 0..255."""
    in_range = batch.min() >= 0 and 1.0 < batch.max() <= 255
    whole = batch.dtype.kind in "iu" or np.all(batch == np.round(batch))
    return bool(batch.ndim >= 3 and in_range and whole)


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


def check_labels(y: Any, conditional: bool, owner: str) -> None:
    """Checks that there are labels if and only if the networks take them."""
    if y is not None and not conditional:
        raise ValueError(
            f"{owner} is unconditional here, since its networks take no "
            "labels, but the data come with labels. Pass the samples alone: "
            "`fit(x)` for arrays, `dataset.map(lambda x, y: x)` for tf.data, a "
            "Dataset that returns no label for a DataLoader. Or pass networks "
            "that take `[z, y]` and `[x, y]`."
        )
    if y is None and conditional:
        raise ValueError(
            f"{owner} is conditional here, since its networks take labels, "
            "but the data come without. Pass `fit(x, y)`, or a data set of "
            "pairs."
        )


def check_label_range(
    y: Any, networks: list[keras.Model], argument: str = "y"
) -> None:
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
            f"`{argument}` must have labels from 0 to {min(classes) - 1}, for "
            f"the {min(classes)} classes of the networks. Received: {bad[0]}."
        )


def check_rows_of_classes(x: Any, y: Any, batch_size: int) -> None:
    """Checks that samples meet others of their class in a batch, where the
    classes are known.

    Args:
        x: The data.
        y: The labels of an array.
        batch_size: That of `fit`.

    Raises:
        ValueError: If there are fewer rows in a batch than classes in all, or
            no class occurs twice in the first batch.
    """
    if isinstance(x, keras.utils.PyDataset):
        _, y, _ = keras.utils.unpack_x_y_sample_weight(x[0])
        labels = np.asarray(ops.convert_to_numpy(y))
        counts = np.unique(labels, axis=0, return_counts=True)[1]
        few = counts.max() < 2
        rows, classes = len(labels), len(counts)
    elif is_array(x):
        labels = np.asarray(ops.convert_to_numpy(y))
        rows = min(batch_size, len(labels))
        classes = len(np.unique(labels, axis=0))
        few = rows < classes
    else:
        return
    if few:
        raise ValueError(
            "Samples are compared with those of their own class, and a batch "
            f"of {rows} rows has too few of each of {classes} classes. Raise "
            "`batch_size`, or serve several rows of a few classes with "
            "`keras_monoflow.datasets.ClassBatches`."
        )


def check_weights(weight: Any, rows: int | None = None) -> None:
    """Checks weights of samples, and their values if they are an array.

    Args:
        weight: Array or tensor `(rows,)` or `(rows, 1)`.
        rows: How many samples there are, if known.
    """
    shape = tuple(getattr(weight, "shape", ()))
    is_row = len(shape) == 1 or shape[1:] == (1,)
    if not is_row or rows not in (None, shape[0]):
        wanted = "" if rows is None else f", where there should be {rows} rows"
        raise ValueError(
            "`sample_weight` must be an array of one number for each sample. "
            f"Received: shape {shape or type(weight).__name__}{wanted}."
        )
    if not isinstance(weight, np.ndarray):
        return
    good = np.isfinite(weight) & (weight >= 0)
    if not good.all():
        raise ValueError(
            "`sample_weight` must be finite and at least 0. Received: "
            f"{weight[~good].ravel()[0]}."
        )
    if not weight.any():
        raise ValueError(
            "`sample_weight` must not be 0 for all samples: none would count."
        )


def weights_of_classes(y: Any, class_weight: Any) -> Array:
    """Returns the weight of each sample, 1 for classes without one.

    Args:
        y: Class numbers `(n,)` or `(n, 1)`, or one-hot rows.
        class_weight: Dictionary from class numbers to weights.

    Raises:
        TypeError: If it is something else.
        ValueError: If `y` are no classes, or a class has no sample.
    """
    if not isinstance(class_weight, dict):
        raise TypeError(
            "`class_weight` must be a dictionary from class numbers to "
            f"weights. Received: class_weight={class_weight!r}."
        )
    y = None if y is None else np.asarray(y)
    one_hot = (
        y is not None
        and y.ndim == 2
        and y.shape[1] > 1
        and np.all((y == 0) | (y == 1))
        and np.all(y.sum(1) == 1)
    )
    if one_hot:
        y = y.argmax(1)
    if y is None or y.dtype.kind not in "iu" or y[:1].size != 1:
        raise ValueError(
            "`class_weight` needs an array of classes `y`, integers or one-hot "
            "rows. Of a data set, let the batches be (samples, labels, "
            "weights). Received: "
            + ("y=None." if y is None else f"y of shape {y.shape}.")
        )
    y = y.reshape(-1)
    unknown = sorted(set(class_weight) - set(np.unique(y).tolist()))
    if unknown:
        raise ValueError(
            f"`class_weight` has a weight for the class {unknown[0]!r}, of "
            f"which `y` has no sample. Received: class_weight={class_weight!r}."
        )
    weights = np.ones(len(y), "float32")
    for name, weight in class_weight.items():
        weights[y == name] = weight
    return weights


BYTE_RANGE_WARNING = (
    "The images look like integers in 0..255. Generators that end in tanh make "
    "values in [-1, 1]: scale the data with `x / 127.5 - 1`."
)
