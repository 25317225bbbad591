"""Shapes of tensors, and dictionaries and lists of them."""

from collections.abc import Callable
from typing import Any

#: One shape, or a dictionary or list of them, or nested.
Shapes = Any


def is_shape(shapes: Shapes) -> bool:
    """Returns whether this is the shape of one tensor."""
    return isinstance(shapes, (tuple, list)) and all(
        size is None or isinstance(size, int) for size in shapes
    )


def map_shapes(function: Callable[[tuple], Any], shapes: Shapes) -> Any:
    """Returns a dictionary or list of what a function makes of each shape."""
    if is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, dict):
        return {name: map_shapes(function, s) for name, s in shapes.items()}
    return [map_shapes(function, s) for s in shapes]


def flatten_shapes(shapes: Shapes) -> list[tuple[Any, ...]]:
    """Returns the shapes of all tensors, in the order of `keras.tree`."""
    if is_shape(shapes):
        return [tuple(shapes)]
    if isinstance(shapes, dict):
        shapes = [shapes[name] for name in sorted(shapes)]
    return [shape for part in shapes for shape in flatten_shapes(part)]
