"""What `fit` and `evaluate` take as data."""

from typing import Any

import keras


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
