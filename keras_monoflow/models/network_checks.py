"""Checks of networks and functions before any time is spent on them."""

import warnings
from typing import Any

import keras

from keras_monoflow.backend import keras_internals
from keras_monoflow.entrywise import has_one_number
from keras_monoflow.models.network_shapes import (
    generated_shape,
    input_shape,
    label_shape,
    output_shape,
    taken_shapes,
)
from keras_monoflow.models.packs import ONE_BY_ONE, Packs
from keras_monoflow.models.parts import Parts
from keras_monoflow.shapes import Shapes, flatten_shapes, is_shape, map_shapes


def check_network(network: Any, argument: str) -> None:
    """Checks that a network is a built Keras model."""
    if not isinstance(network, keras.Layer):
        raise TypeError(
            f"`{argument}` must be a `keras.Model`. Received: "
            f"{argument}={network!r}."
        )
    if not network.built:
        raise ValueError(
            f"`{argument}` must be built, so that its shapes and weights are "
            f"known. Received the unbuilt {network.name!r}. Start it with "
            "`keras.Input(shape)`, or call it once on a batch."
        )


def check_conditional(
    conditions: Parts | None,
    network: keras.Model,
    role: str,
    packs: Packs = ONE_BY_ONE,
    has_parts: bool = False,
) -> bool:
    """Checks that a network takes the conditions of the generator, or groups of
    them, or none.

    Args:
        conditions: Those of the generator, or `None`.
        network: A network that judges samples.
        role: Its role.
        packs: The groups that it sees.
        has_parts: Whether samples are a dictionary or list of tensors.

    Returns:
        Whether it takes them.
    """
    shape = None if conditions is None else conditions.shapes
    expected = None if shape is None else map_shapes(packs.joined_shape, shape)
    taken = label_shape(network, has_parts)
    if taken is not None and taken != expected:
        raise ValueError(
            f"`{role}` must take the labels that `generator` takes, as a "
            "second input of the same shape, or none. `generator` takes labels "
            f"of shape {shape}, `{role}` of shape {taken}"
            f"{packs.explanation(expected)}."
        )
    return taken is not None


def check_no_labels(owner: str, conditional: bool) -> None:
    """Checks that the networks of a model take samples alone."""
    if conditional:
        raise ValueError(
            f"{owner} is unconditional, but `generator` takes labels. Pass "
            "networks that take latent points and samples alone."
        )


def check_unconditional(
    network: keras.Model, role: str, owner: str, has_parts: bool = False
) -> None:
    """Checks that a network takes samples alone."""
    if label_shape(network, has_parts) is not None:
        raise ValueError(
            f"{owner} is unconditional, but `{role}` takes labels. Pass one "
            "that takes samples alone."
        )


def check_shapes(
    generator: keras.Model,
    discriminator: keras.Model,
    role: str,
    packs: Packs = ONE_BY_ONE,
) -> None:
    """Checks that generated samples, or groups of them, fit a network."""
    generated = generated_shape(generator)
    joined = map_shapes(packs.joined_shape, generated)
    expected: Shapes = None
    if is_shape(generated):
        expected = input_shape(discriminator, role)
    else:
        expected, _ = taken_shapes(discriminator, has_parts=True)
    if not _fits(joined, expected):
        must = "They must be equal" if packs.size == 1 else "They do not fit"
        raise ValueError(
            f"`generator` makes samples of shape {generated}, but "
            f"`{role}` takes inputs of shape {expected}. "
            f"{must}{packs.explanation(joined)}."
        )


def _fits(shapes, expected):
    """Whether tensors of these shapes are what is expected, where a `None`
    stands for any size."""
    if is_shape(shapes) or is_shape(expected):
        return (
            is_shape(shapes)
            and is_shape(expected)
            and len(shapes) == len(expected)
            and all(b is None or a == b for a, b in zip(shapes, expected))
        )
    if isinstance(shapes, dict) and isinstance(expected, dict):
        return shapes.keys() == expected.keys() and all(
            _fits(shapes[name], expected[name]) for name in shapes
        )
    return (
        isinstance(shapes, list)
        and isinstance(expected, list)
        and len(shapes) == len(expected)
        and all(map(_fits, shapes, expected))
    )


def check_outputs(network: keras.Model, role: str) -> None:
    """Checks that a network returns one number for each sample, or one for each
    patch, or a list or dictionary of such outputs."""
    shapes = output_shape(network)
    for shape in flatten_shapes(shapes):
        if len(shape) > 1 and shape[-1] != 1:
            raise ValueError(
                f"`{role}` must return one number for each sample, of shape "
                "(batch, 1) or (batch,), or one for each patch, of shape "
                "(batch, ..., 1), or a list or dictionary of such outputs. "
                f"Received: output shape {shapes}. End it with `Dense(1)` or "
                "`Conv2D(1, ...)` and no activation."
            )


def check_one_output(network: keras.Model, role: str) -> None:
    """Checks that a network returns one number for each sample."""
    output = output_shape(network)
    if not has_one_number(output):
        raise ValueError(
            f"`{role}` must return one number for each sample, of shape "
            f"(batch, 1) or (batch,). Received: output shape {output}. End it "
            "with `Dense(1)` and no activation."
        )


def warn_if_squashed(network: keras.Model, role: str) -> None:
    """Warns if a network ends in a sigmoid.

    Raises:
        ValueError: For a softmax over one unit, which is always 1.
    """
    layer = network
    while getattr(layer, "layers", None):
        layer = layer.layers[-1]
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", type(layer).__name__.lower())
    if name == "softmax":
        raise ValueError(
            f"`{role}` ends in a softmax over one number, which is always 1. "
            "End it with `Dense(1)` and no activation."
        )
    if name in ("sigmoid", "hard_sigmoid"):
        warnings.warn(
            f"`{role}` ends in a {name}, but its outputs are taken for any "
            "real numbers (logits, log ratios or potentials): the losses apply "
            "a sigmoid themselves. End it with `Dense(1)` and no activation.",
            stacklevel=4,
        )


def check_trainable(networks: list[keras.Model], role: str) -> None:
    """Checks that networks have weights to train."""
    for network in networks:
        if not network.trainable_variables:
            raise ValueError(
                f"`{role}` has no trainable weights, so it would never learn. "
                f"Received: {network.name!r} with trainable="
                f"{network.trainable}. Set `{role}.trainable = True` before "
                "`compile`: each network is trained in its own turn, and "
                "frozen in the other's."
            )


def check_different(networks: dict[str, keras.Model]) -> None:
    """Checks that no network stands in for two."""
    roles: dict[int, str] = {}
    for role, network in networks.items():
        other = roles.setdefault(id(network), role)
        if other != role:
            raise ValueError(
                f"`{other}` and `{role}` must be two networks. Received the "
                f"same one twice: {network.name!r}."
            )


def is_registered(thing: Any) -> bool:
    """Returns whether Keras can find a function or class again by name."""
    module = getattr(thing, "__module__", "") or ""
    registered = keras.saving.get_registered_name(thing) != _name_of(thing)
    return registered or module.split(".")[0] == "keras"


def warn_if_unregistered(thing: Any, argument: str) -> None:
    """Warns if a function or class cannot be saved."""
    if not is_registered(thing):
        warnings.warn(
            f"The {argument} {_name_of(thing)!r} is not registered, so the "
            "model cannot be saved as a whole. Decorate it with "
            "`@keras.saving.register_keras_serializable()`.",
            stacklevel=3,
        )


def _name_of(thing):
    return getattr(thing, "__name__", type(thing).__name__)


def any_in_float16(networks: list[keras.Model]) -> bool:
    """Returns whether a layer of the networks computes in float16."""
    return any(
        layer.compute_dtype == "float16"
        for network in networks
        for layer in keras_internals.layers_of(network)
    )
