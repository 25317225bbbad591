"""What `fit` and `evaluate` take as data."""

import contextlib
import math
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def at_first_epoch(x: Any) -> Iterator[None]:
    """Inside, a data set whose order depends on the epoch serves the first."""
    x = getattr(x, "source", x)
    if not hasattr(x, "set_epoch"):
        yield
        return
    epoch = getattr(x, "epoch", 0)
    x.set_epoch(0)
    try:
        yield
    finally:
        x.set_epoch(epoch)


def is_array(x: Any) -> bool:
    """Returns whether data are one array or tensor."""
    return hasattr(x, "shape") and hasattr(x, "__getitem__")


def joined(x: Any) -> Any:
    """Returns the parts of samples as rows of all their numbers, in float32; a
    single array or tensor as it is.

    Args:
        x: A dictionary or list of arrays or tensors, of as many rows.
    """
    if hasattr(x, "shape"):
        return x
    parts = keras.tree.flatten(x)
    if all(isinstance(part, np.ndarray) for part in parts):
        rows = [
            part.astype("float32", copy=False).reshape(len(part), -1)
            for part in parts
        ]
        return np.concatenate(rows, axis=1)
    rows = [
        keras.ops.reshape(
            keras.ops.cast(part, "float32"), (-1, math.prod(part.shape[1:]))
        )
        for part in parts
    ]
    return keras.ops.concatenate(rows, axis=1)


class RowsOfBatches:
    """A view of a data set, the parts of each batch joined to rows.

    Args:
        data: What yields batches.
        rows_of: Function from a batch to a tuple of arrays.
    """

    def __init__(self, data: Any, rows_of: Callable[[Any], tuple]) -> None:
        self._data, self._rows_of = data, rows_of
        #: Whether a look at the first batch changes nothing.
        self.starts_anew = hasattr(data, "element_spec")

    def __iter__(self) -> Iterator[tuple]:
        return map(self._rows_of, self._data)


class RowsOfPyDataset(keras.utils.PyDataset):
    """The same for a `keras.utils.PyDataset`."""

    def __init__(self, data: Any, rows_of: Callable[[Any], tuple]) -> None:
        super().__init__()
        self.source, self._rows_of = data, rows_of

    @property
    def num_batches(self) -> int | None:
        return self.source.num_batches

    def __getitem__(self, index: int) -> tuple:
        return self._rows_of(self.source[index])


def rows_of_data(
    x: Any,
    y: Any,
    join: Callable[[Any], Any],
    join_labels: Callable[[Any], Any],
) -> tuple[Any, Any]:
    """Returns data as they are looked at, rows of samples and of labels.

    Args:
        x: The `x` of `fit`, with samples or labels of several parts.
        y: The `y` of `fit`.
        join: Function from such samples to rows.
        join_labels: Function from such labels to rows.
    """

    def rows_of(batch: Any) -> tuple:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        # (A `None` would become an array.)
        x, y = keras.tree.map_structure(
            lambda a: None if a is None else keras.ops.convert_to_numpy(a),
            (x, y),
        )
        rows = join(x), None if y is None else join_labels(y), weight
        return rows[: 3 if weight is not None else 1 if y is None else 2]

    if x is None or is_array(x) or isinstance(x, (dict, list, tuple)):
        x = join(x)
        return x, None if y is None else join_labels(y)
    if isinstance(x, keras.utils.PyDataset):
        return RowsOfPyDataset(x, rows_of), None
    # (What can be read only once is not to be looked at.)
    return (RowsOfBatches(x, rows_of) if can_be_read_again(x) else x), None


def _starts_anew(x: Any) -> bool:
    return hasattr(x, "element_spec") or getattr(x, "starts_anew", False)


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
    elif getattr(x, "starts_anew", False):
        _, y, _ = keras.utils.unpack_x_y_sample_weight(next(iter(x)))
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
    elif _starts_anew(x):
        batch = next(iter(x), None)
        if batch is None:
            return None
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
    if not hasattr(x, "shape"):
        return None
    rows = np.linspace(0, len(x) - 1, min(count, len(x))).astype(int)

    def take(data: Any) -> Array:
        # (An array on disk is not to be read whole.)
        if not isinstance(data, np.ndarray):
            data = np.asarray(keras.ops.convert_to_numpy(data))
        return data[rows]

    return take(x).astype("float32"), None if y is None else take(y)


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
