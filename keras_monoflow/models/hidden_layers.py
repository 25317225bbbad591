"""What the hidden layers of a discriminator make of samples."""

from typing import Any

import keras
from keras import layers

from keras_monoflow.backend import keras_internals

#: Layers that are activations themselves.
_ACTIVATIONS = (
    layers.Activation,
    layers.ELU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
)

#: The names of operations that are activations.
_OPERATIONS = {
    name.replace("_", "").lower() for name in dir(keras.activations)
} - {"linear"}


def hidden_layers(network: Any, role: str) -> keras.Model:
    """Returns a model that shares all weights, from the inputs of a network to
    what its nonlinear layers make of them, its outputs left out.

    Networks in the network are looked into.

    Raises:
        ValueError: If the network was not defined by its layers, or has none
            of these.
    """
    graph = keras_internals.graph_of(network)
    found = _hidden(graph)
    if not found:
        raise ValueError(
            f"No hidden layers of `{role}` are known: `features` of a "
            "generator term need a functional or sequential network with "
            f"activations between its layers. Received: {network!r}."
        )
    return keras.Model(graph.input, found)


def _hidden(graph):
    """What the nonlinear layers of a graph return, but for its outputs."""
    ends = {id(t) for t in keras.tree.flatten(getattr(graph, "output", None))}
    found = []
    for layer, inputs, output in keras_internals.calls_of(graph):
        inner = keras_internals.graph_of(layer)
        parts = _hidden(inner)
        if parts:
            values = keras.Model(inner.inputs, parts)(inputs)
            found += keras.tree.flatten(values)
        if _ends_nonlinear(layer) and id(output) not in ends:
            found.append(output)
    return found


def _ends_nonlinear(layer):
    """Whether a layer is nonlinear, or the last one of a network."""
    inner = keras_internals.graph_of(layer)
    for last, _, output in reversed(keras_internals.calls_of(inner)):
        if output is inner.output:
            return _ends_nonlinear(last)
    return _is_nonlinear(layer)


def _is_nonlinear(layer):
    while isinstance(layer, layers.Wrapper):
        layer = layer.layer
    if isinstance(layer, _ACTIVATIONS):
        return True
    if not isinstance(layer, keras.Layer):
        # An operation, such as `keras.ops.relu` of a symbolic tensor.
        return type(layer).__name__.lower() in _OPERATIONS
    activation = getattr(layer, "activation", None)
    return activation not in (None, keras.activations.linear)
