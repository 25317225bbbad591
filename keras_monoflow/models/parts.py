"""Samples and conditions that are several tensors, as rows of numbers."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.data import joined
from keras_monoflow.models.packs import ONE_BY_ONE, Packs
from keras_monoflow.shapes import Shapes, flatten_shapes, is_shape, map_shapes

#: A dictionary or list of tensors or arrays, or nested, or a single one.
Tree = Any


class Parts:
    """How a dictionary or list of tensors becomes one row of numbers, and back.

    A flow moves a sample of several parts in the product of their spaces: its
    row holds the numbers of all, in the order of `keras.tree`. Velocities,
    penalties and distances are then those of a vector.

    Args:
        shapes: The shapes of the parts without the batch, in a dictionary or
            list, or nested; that of a single tensor, which stays as it is.
        what: What error messages call them, such as `"samples"`.
    """

    def __init__(self, shapes: Shapes, what: str = "samples") -> None:
        self.shapes, self.what = shapes, what
        self.are_several = not is_shape(shapes)
        self._each = flatten_shapes(shapes)
        self._sizes = [math.prod(shape) for shape in self._each]
        self._outline = map_shapes(lambda _: 0, shapes)
        #: The shape of a row.
        self.shape = (sum(self._sizes),) if self.are_several else shapes

    def join(self, x: Tree) -> Any:
        """Returns the rows of a batch, `(n, numbers)` in float32; a single
        tensor, or rows, as they are.

        Args:
            x: A dictionary or list of tensors, or of arrays.

        Raises:
            ValueError: If it has other parts.
        """
        if not self.are_several or hasattr(x, "shape"):
            return x
        self._check(x)
        return joined(x)

    def split(self, rows: Any, packs: Packs = ONE_BY_ONE) -> Tree:
        """Returns the parts of rows.

        Args:
            rows: Tensor or array `(n, numbers)`.
            packs: How the rows were joined in groups. Of each part, those of
                a group stand side by side along the last axis.
        """
        if not self.are_several or rows is None:
            return rows
        reshape = np.reshape if isinstance(rows, np.ndarray) else ops.reshape
        single = reshape(rows, (-1, packs.size, *self.shape))
        parts, start = [], 0
        for shape, size in zip(self._each, self._sizes):
            part = single[:, :, start : start + size]
            parts.append(packs.side_by_side(part, shape))
            start += size
        return keras.tree.pack_sequence_as(self._outline, parts)

    def join_one(self, x: Any) -> Any:
        """Returns a single one of several parts as a row of all its numbers,
        without an axis of rows; `None` if `x` is none."""
        if not self.are_several or _outline_of(x) != self._outline:
            return None
        shapes = [tuple(part.shape) for part in keras.tree.flatten(x)]
        for shape, wanted in zip(shapes, self._each):
            if shape != wanted and (shape, wanted) != ((), (1,)):
                return None
        return self.join(keras.tree.map_structure(lambda p: p[None], x))[0]

    def _check(self, x):
        parts = keras.tree.flatten(x)
        fits = _outline_of(x) == self._outline and all(
            tuple(part.shape[1:]) in (shape, shape if shape != (1,) else ())
            for part, shape in zip(parts, self._each)
        )
        if not fits:
            received = keras.tree.map_structure(_shape_or_type, x)
            raise ValueError(
                f"The {self.what} of this model have parts of the shapes "
                f"{self.shapes}. Received: {received}."
            )
        sizes = {p.shape[0] for p in parts}
        if len(sizes) > 1:
            raise ValueError(
                f"All parts of the {self.what} must have as many rows. "
                f"Received: parts of {sorted(map(str, sizes))} rows."
            )


#: Samples that are one tensor.
ONE = Parts((), "samples")


def _outline_of(x):
    if isinstance(x, dict):
        return {name: _outline_of(part) for name, part in x.items()}
    if isinstance(x, (list, tuple)):
        return [_outline_of(part) for part in x]
    return 0 if hasattr(x, "shape") else type(x)


def _shape_or_type(part):
    shape = getattr(part, "shape", None)
    return type(part) if shape is None else tuple(shape)
