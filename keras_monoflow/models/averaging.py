"""A moving average of the generator's weights."""

import keras
from keras import ops

from keras_monoflow.backend import keras_internals
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Tensor


def average_step(
    average: keras.Model, network: keras.Model, decay: float, updates: Tensor
) -> None:
    """Moves the weights of `average` towards those of `network`.

    After update `t`, counted from 0, all weights `w` and batch statistics go
    into the average,

        a <- d a + (1 - d) w,    d = min(decay, (1 + t) / (10 + t)).

    The smaller decay at the beginning forgets the initial weights soon.

    Args:
        average: A network of the same kind, whose weights change.
        network: The network that is trained.
        decay: Float between 0 and 1.
        updates: Scalar float tensor `t`.
    """
    decay = ops.minimum(decay, (1.0 + updates) / (10.0 + updates))
    for mean, weight in zip(average.weights, network.weights):
        if keras.backend.is_float_dtype(weight.dtype):
            new, old = at_least_float32(weight), at_least_float32(mean)
            share = ops.cast(1.0 - decay, new.dtype)
            mean.assign(old + share * (new - old))
        else:
            mean.assign(weight)


def copy_network(network: keras.Model) -> keras.Model:
    """Returns a network of the same kind and weights that is not trained.

    Classes that are not registered, and functions in `Lambda` layers, are taken
    from the network itself.

    Raises:
        ValueError: If a layer cannot be made anew from its configuration, or
            keeps statistics that are not weights.
    """
    _check_buffers(network)
    classes = {
        type(layer).__name__: type(layer)
        for layer in keras_internals.layers_of(network)
    }
    try:
        copy = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(network),
            custom_objects=classes,
            safe_mode=False,
        )
        if not copy.built or len(copy.weights) != len(network.weights):
            copy.build_from_config(network.get_build_config())
        copy.set_weights(network.get_weights())
    except Exception as error:
        raise ValueError(
            f"`ema` averages the weights in a copy of {network.name!r}, which "
            "could not be made. Give its layers a `get_config` with all their "
            "arguments, or leave out `ema`. The reason: "
            f"{type(error).__name__}: {error}"
        ) from error
    copy.trainable = False
    if inputs := getattr(copy, "inputs", None):
        # Keras writes no model that was never called to ONNX.
        copy(inputs if len(inputs) > 1 else inputs[0])
    return copy


def _check_buffers(network: keras.Model) -> None:
    """Checks that no module of `torch.nn` keeps statistics by itself."""
    for layer in keras_internals.layers_of(network):
        buffers = getattr(getattr(layer, "module", None), "named_buffers", None)
        names = [name for name, _ in buffers()] if buffers else []
        if names:
            raise ValueError(
                f"`ema` averages weights, and the module of {layer.name!r} "
                f"keeps numbers that are none: {', '.join(names)}. The average "
                "would never see them. Take the layer of Keras, such as "
                "`keras.layers.BatchNormalization`, or leave out `ema`."
            )
