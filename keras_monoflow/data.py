"""What `fit` and `evaluate` take as data."""

from typing import Any

import keras
import numpy as np

from keras_monoflow.typing import Array


def can_be_read_again(x: Any) -> bool:
    """Returns whether data that were read once can be read again.

    Args:
        x: An array, tensor, data set, `keras.utils.PyDataset`, or anything to
            iterate over.

    Returns:
        `False` for iterators and generators, which one reader uses up.
    """
    if hasattr(x, "shape") or isinstance(x, keras.utils.PyDataset):
        return True
    return hasattr(x, "__iter__") and not hasattr(x, "__next__")


def first_labels(x: Any, y: Any, count: int = 512) -> Array | None:
    """Returns some of the labels of data, unless they are class numbers.

    Args:
        x: The `x` of `fit`.
        y: The `y` of `fit`.
        count: The largest number of labels.

    Returns:
        An array; `None` if there are no labels, if they are integers, of which
        a model keeps account by itself, or if a look would change the data:
        iterators are used up, and others draw their order anew.
    """
    spec = getattr(x, "element_spec", None)  # of a `tf.data.Dataset`
    if isinstance(spec, tuple) and len(spec) > 1:
        is_number = spec[1].dtype.is_integer and spec[1].shape.rank < 3
        y = None if is_number else next(iter(x))[1]
    elif isinstance(x, keras.utils.PyDataset):
        _, y, _ = keras.utils.unpack_x_y_sample_weight(x[0])
    if y is None or not hasattr(y, "shape"):
        return None
    labels = y[:count]
    if not isinstance(labels, np.ndarray):
        labels = keras.ops.convert_to_numpy(labels)
    is_number = labels.dtype.kind in "iu" and labels[0].size == 1
    return None if is_number else labels


def first_rows(x: Any, y: Any, count: int) -> tuple[Array, Array | None] | None:
    """Returns some samples of data and their labels, or `None` if a look would
    change the data.

    Args:
        x: The `x` of `fit`. Of an array, rows are taken from all over it; of
            a `PyDataset` or a `tf.data.Dataset`, those of the first batch.
        y: The `y` of `fit`.
        count: The largest number of rows.
    """
    if isinstance(x, keras.utils.PyDataset):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(x[0])
    elif hasattr(x, "element_spec"):
        batch = next(iter(x), None)
        if batch is None:
            return None
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
    if not hasattr(x, "shape"):
        return None
    rows = np.linspace(0, len(x) - 1, min(count, len(x))).astype(int)
    to_numpy = keras.ops.convert_to_numpy
    samples = np.asarray(to_numpy(x))[rows].astype("float32")
    return samples, None if y is None else np.asarray(to_numpy(y))[rows]


def class_numbers(y: Any) -> Array:
    """Returns the classes of samples, integers `(n,)`.

    Args:
        y: Integers of shape `(n,)` or `(n, 1)`.

    Raises:
        TypeError: If they are something else.
    """
    labels = np.asarray(y)
    if labels.dtype.kind not in "iu" or labels[:1].size != 1:
        raise TypeError(
            "`y` must hold integers, one class for each row. Received: y of "
            f"dtype {labels.dtype} and shape {labels.shape}."
        )
    return labels.reshape(-1)
