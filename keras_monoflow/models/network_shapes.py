"""Shapes that networks take and return."""

from typing import Any

import keras

from keras_monoflow.shapes import Shapes, flatten_shapes, is_shape, map_shapes


def input_shapes(network: keras.Model) -> Shapes | None:
    """Returns the shapes of the inputs of a network that was defined by them,
    or of what a subclassed one was called on, `None` for the batch."""
    shape = getattr(network, "input_shape", None)
    if shape is None:
        shape = (network.get_build_config() or {}).get("input_shape")
    elif not is_shape(shape):  # (Keras forgets the names of several.)
        shape = keras.tree.map_structure(lambda x: x.shape, network.input)
    if shape is None:
        return None
    return map_shapes(lambda s: (None, *s[1:]), shape)


def output_shape(network: keras.Model) -> Shapes:
    """Returns the shape of what a network returns, `None` for the batch: a
    tuple, or a list or dictionary of them."""
    shape = getattr(network, "output_shape", None)
    if not isinstance(shape, tuple):  # (Keras forgets the names of several.)
        inputs = map_shapes(keras.KerasTensor, input_shapes(network))
        output = network.compute_output_spec(inputs)
        shape = keras.tree.map_structure(lambda t: t.shape, output)
    return map_shapes(lambda s: s, shape)


def generated_shape(generator: keras.Model) -> Shapes:
    """Returns the shape of one sample that a generator makes.

    Raises:
        ValueError: If samples are several tensors of unknown shapes.
    """
    shapes = map_shapes(lambda s: s[1:], output_shape(generator))
    unknown = any(None in shape for shape in flatten_shapes(shapes))
    if unknown and not is_shape(shapes):
        raise ValueError(
            "The parts of a sample must have known shapes. Received: "
            f"`generator` with the output shapes {shapes}."
        )
    return shapes


def taken_shapes(
    network: keras.Model, has_parts: bool = False
) -> tuple[Shapes | None, Shapes | None]:
    """Returns the shapes of one sample that a network takes and of its label,
    each `None` if there is none or it is not known.

    Args:
        network: A network that takes samples, or `[samples, labels]`.
        has_parts: Whether samples are a dictionary or list of tensors.
    """
    shapes = input_shapes(network)
    if shapes is None:
        return None, None
    shapes = map_shapes(lambda s: s[1:], shapes)
    is_pair = isinstance(shapes, list) and len(shapes) == 2
    if is_pair and is_shape(shapes[0]) != has_parts:
        return shapes[0], shapes[1]
    return shapes, None


def sample_shape(network: keras.Model) -> tuple[Any, ...] | None:
    """Returns the shape of one sample that a network takes, without labels, or
    `None` if it is not known."""
    shape, _ = taken_shapes(network)
    return shape if is_shape(shape) else None


def input_shape(network: keras.Model, role: str) -> tuple[int, ...]:
    """Returns the shape of one sample that a network takes, without labels.

    Raises:
        ValueError: If it is not known.
    """
    shape = sample_shape(network)
    if not isinstance(shape, tuple) or None in shape:
        raise ValueError(
            f"`{role}` must take one input of a known shape, or two if the "
            "second are labels. Received: "
            f"{network.name!r} with input shape {input_shapes(network)!r}. "
            "Build it with "
            f"`keras.Input(shape)`: a subclassed network {role} as `i = "
            f"keras.Input(shape); keras.Model(i, {role}(i))`."
        )
    return shape


def label_shape(network: keras.Model, has_parts: bool = False) -> Shapes | None:
    """Returns the shape of one label that a network takes, or `None`."""
    return taken_shapes(network, has_parts)[1]


def conditions_of(generator: keras.Model, alone: bool) -> Shapes | None:
    """Returns the shapes of the conditions that a generator takes, or `None`.

    Args:
        generator: A network from latent points, or `[latent points,
            conditions]`.
        alone: Whether it takes conditions alone.

    Raises:
        ValueError: If it should, and takes two inputs.
    """
    first, second = taken_shapes(generator)
    if not alone:
        return second
    if second is not None:
        raise ValueError(
            "`prior=None` is for generators that take a condition alone. "
            f"Received: {generator.name!r} with input shapes "
            f"{input_shapes(generator)!r}. Pass a prior for the first of them."
        )
    several = first is not None and not is_shape(first)
    return first if several else input_shape(generator, "generator")
