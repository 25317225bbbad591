"""Checks of networks and functions before any time is spent on them."""

import warnings
from typing import Any

import keras

from keras_monoflow.backend import keras_internals
from keras_monoflow.entrywise import flatten_shapes, has_one_number
from keras_monoflow.models.packs import ONE_BY_ONE, Packs


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


def _input_shapes(network: keras.Model) -> Any:
    """Returns the `input_shape` of a network that was defined by its inputs,
    or what a subclassed one was called on."""
    shape = getattr(network, "input_shape", None)
    if shape is not None:
        return shape
    shape = (network.get_build_config() or {}).get("input_shape")
    if shape is not None and keras.tree.is_nested(shape[0]):
        return [(None, *s[1:]) for s in shape]
    return None if shape is None else (None, *shape[1:])


def output_shape(network: keras.Model) -> Any:
    """Returns the shape of what a network returns, `None` for the batch: a
    tuple, or a list or dictionary of them."""
    shape = getattr(network, "output_shape", None)
    if not isinstance(shape, tuple):  # (Keras forgets the names of several.)
        shapes = _input_shapes(network)
        inputs = (
            [keras.KerasTensor(s) for s in shapes]
            if isinstance(shapes, list)
            else keras.KerasTensor(shapes)
        )
        output = network.compute_output_spec(inputs)
        shape = keras.tree.map_structure(lambda t: t.shape, output)
    several = isinstance(shape, dict) or not all(
        s is None or isinstance(s, int) for s in shape
    )
    return shape if several else tuple(shape)


def sample_shape(network: keras.Model) -> tuple[Any, ...] | None:
    """Returns the shape of one sample that a network takes, without labels, or
    `None` if it is not known."""
    shape = _input_shapes(network)
    if isinstance(shape, list) and len(shape) == 2:
        shape = shape[0]
    return shape[1:] if isinstance(shape, tuple) else None


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
            f"{network.name!r} with input shape {_input_shapes(network)!r}. "
            "Build it with "
            f"`keras.Input(shape)`: a subclassed network {role} as `i = "
            f"keras.Input(shape); keras.Model(i, {role}(i))`."
        )
    return shape


def label_shape(network: keras.Model) -> tuple[int, ...] | None:
    """Returns the shape of one label that a network takes, or `None`."""
    shape = _input_shapes(network)
    return shape[1][1:] if isinstance(shape, list) else None


def check_takes_conditions_alone(generator: keras.Model) -> None:
    """Checks a generator for `prior=None`."""
    if label_shape(generator) is not None:
        raise ValueError(
            "`prior=None` is for generators that take a condition alone. "
            f"Received: {generator.name!r} with input shapes "
            f"{_input_shapes(generator)!r}. Pass a prior for the first of them."
        )


def check_conditional(
    generator: keras.Model,
    others: dict[str, keras.Model],
    packs: Packs = ONE_BY_ONE,
    takes_conditions_alone: bool = False,
) -> None:
    """Checks that all networks take the same labels, or none; `others` those of
    a group."""
    shape = label_shape(generator)
    if takes_conditions_alone:
        shape = input_shape(generator, "generator")
    expected = None if shape is None else packs.joined_shape(shape)
    for role, network in others.items():
        if label_shape(network) != expected:
            raise ValueError(
                "Either all networks take labels as a second input, of one "
                f"shape, or none. `generator` takes labels of shape {shape}, "
                f"`{role}` of shape {label_shape(network)}"
                f"{packs.explanation(expected)}."
            )


def check_unconditional(network: keras.Model, role: str, owner: str) -> None:
    """Checks that a network takes samples alone."""
    if label_shape(network) is not None:
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
    shape = output_shape(generator)
    if not isinstance(shape, tuple):
        raise ValueError(
            "`generator` must return one tensor of samples. Received: outputs "
            f"of the shapes {shape}."
        )
    generated = shape[1:]
    joined = packs.joined_shape(generated)
    expected = tuple(input_shape(discriminator, role))
    fits = len(joined) == len(expected) and all(
        b is None or a == b for a, b in zip(joined, expected)
    )
    if not fits:
        must = "They must be equal" if packs.size == 1 else "They do not fit"
        raise ValueError(
            f"`generator` makes samples of shape {generated}, but "
            f"`{role}` takes inputs of shape {expected}. "
            f"{must}{packs.explanation(joined)}."
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
    """Warns if the outputs of a network end in a sigmoid, or are constant.

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
