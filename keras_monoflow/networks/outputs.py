"""The last layers of networks: float32, with or without labels."""

from collections.abc import Callable
from typing import Any

from keras import layers

from keras_monoflow.networks.projection import ProjectionOutput
from keras_monoflow.networks.spectral import normalize_spectrum
from keras_monoflow.typing import Tensor


def float32(x: Tensor, activation: str = "linear") -> Tensor:
    """Applies `activation` in float32, whatever the policy of the layers.

    Losses and flows need float32.
    """
    return layers.Activation(activation, dtype="float32")(x)


def logits(
    features: Tensor,
    labels: Tensor | None,
    classes: int | None,
    initializer: Callable[[], Any],
    spectral: bool = False,
    **options: Any,
) -> Tensor:
    """Returns float32 logits `(batch, 1)`, which depend on labels if given.

    Args:
        features: Tensor `(batch, features)`.
        labels: Integers `(batch,)`, or `None`.
        classes: Integer, the number of classes, or `None`.
        initializer: Function that returns a new initializer of weights.
        spectral: Boolean, whether to normalize the spectra of the kernels.
        **options: More arguments of `Dense` or `ProjectionOutput`.
    """
    if classes is None:
        layer = layers.Dense(1, kernel_initializer=initializer(), **options)
        return float32(normalize_spectrum(layer, spectral)(features))
    return ProjectionOutput(
        classes,
        kernel_initializer=initializer(),
        embeddings_initializer=initializer(),
        spectral_normalization=spectral,
        **options,
    )([features, labels])
