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


def hidden_layers(network: Any, role: str) -> keras.Model:
    """Returns a model that shares all weights, from the inputs of a network to
    what its nonlinear layers make of them, its outputs left out.

    Raises:
        ValueError: If the network was not defined by its layers, or has none
            of these.
    """
    graph = keras_internals.graph_of(network)
    ends = {id(t) for t in keras.tree.flatten(getattr(graph, "output", None))}
    found = [
        layer.output
        for layer in getattr(graph, "layers", [])
        if _is_nonlinear(layer) and id(layer.output) not in ends
    ]
    if not found:
        raise ValueError(
            f"No hidden layers of `{role}` are known: `features` of a "
            "generator term need a functional or sequential network with "
            f"activations between its layers. Received: {network!r}."
        )
    return keras.Model(graph.input, found)


def _is_nonlinear(layer):
    if isinstance(layer, _ACTIVATIONS):
        return True
    activation = getattr(layer, "activation", None)
    return activation not in (None, keras.activations.linear)
