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
