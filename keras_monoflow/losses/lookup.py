"""Discriminator objectives by name."""

import keras

from keras_monoflow import mappings, naming
from keras_monoflow.losses.density_ratio_loss import (
    DensityRatioLoss,
    DonskerVaradhanLoss,
    ExponentialLoss,
    LeastSquaresLoss,
    LeastSquaresRatioLoss,
    LogisticLoss,
    MatchedLoss,
)

#: The objectives that need no argument, by their canonical name.
NAMED = {
    "logistic": LogisticLoss,
    "least_squares": LeastSquaresLoss,
    "exponential": ExponentialLoss,
    "donsker_varadhan": DonskerVaradhanLoss,
    "least_squares_ratio": LeastSquaresRatioLoss,
}

#: Other names that the literature uses.
ALIASES = {
    "binary_crossentropy": "logistic",
    "lsgan": "least_squares",
    "boosting": "exponential",
    "kliep": "donsker_varadhan",
    "ulsif": "least_squares_ratio",
    "b_gan": "least_squares_ratio",
}


def get(discriminator_loss, mapping=None):
    """Returns a `DensityRatioLoss`.

    Args:
        discriminator_loss: A name, a `DensityRatioLoss` or its configuration.
        mapping: The mapping that `"matched"` stands for.

    Raises:
        ValueError: If a name is unknown, or the mapping has no dual.
        TypeError: If it is no `DensityRatioLoss`.
    """
    if isinstance(discriminator_loss, dict):
        discriminator_loss = keras.saving.deserialize_keras_object(
            discriminator_loss
        )
    if isinstance(discriminator_loss, DensityRatioLoss):
        return discriminator_loss
    if not isinstance(discriminator_loss, str):
        raise TypeError(
            "`discriminator_loss` must be a name or a `keras_monoflow.losses."
            "DensityRatioLoss`, which knows the log density ratio that its "
            "minimiser stands for. Received: discriminator_loss="
            f"{discriminator_loss!r}."
        )
    if discriminator_loss == "wasserstein":
        raise ValueError(
            "`discriminator_loss='wasserstein'` estimates no density ratio. "
            "Use the model `keras_monoflow.W1FE`, or a `ParticleFlow`. "
            f"Known names: {', '.join(sorted(NAMED))}."
        )
    table = {**NAMED, **{a: NAMED[n] for a, n in ALIASES.items()}}
    table["matched"] = lambda: _matched(mapping)
    return naming.lookup(discriminator_loss, table, "discriminator_loss")()


def _matched(mapping):
    if mapping is None:
        raise ValueError(
            "`discriminator_loss='matched'` stands for the objective of a "
            "mapping, and none was given. Use `MatchedLoss(mapping)`."
        )
    return MatchedLoss(mappings.get(mapping))
