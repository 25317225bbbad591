"""Checks of labels before any time is spent on them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.backend import keras_internals
from keras_monoflow.data import is_array


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

    Labels out of range would give NaN, or rows of other classes; what does not
    fit into 32 bits would become another number in a step.
    """
    y = np.asarray(ops.convert_to_numpy(y))
    if y.dtype.kind in "iu" and y.size and y.max() > np.iinfo("int32").max:
        raise ValueError(
            f"`{argument}` has a label of {y.max()}, and labels must be less "
            "than 2**31. Number the classes from 0: `np.unique(labels, "
            "return_inverse=True)[1]`."
        )
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
