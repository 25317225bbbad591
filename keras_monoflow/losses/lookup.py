"""Discriminator objectives by name."""

from typing import Any

import keras

from keras_monoflow import mappings
from keras_monoflow.losses.density_ratio_loss import DensityRatioLoss
from keras_monoflow.losses.matched_loss import MatchedLoss
from keras_monoflow.registry import OBJECTIVES, key_of

#: What makes each objective that has a name, by its canonical name.
NAMED = OBJECTIVES.makers

#: Other names that the literature uses.
ALIASES = OBJECTIVES.aliases


def get(discriminator_loss: Any, mapping: Any = None) -> Any:
    """Returns a `DensityRatioLoss`.

    Args:
        discriminator_loss: A name, a `DensityRatioLoss` or its configuration.
        mapping: The mapping that `"matched"` stands for.

    Raises:
        ValueError: If a name is unknown, or the mapping has no dual.
        TypeError: If it is not a `DensityRatioLoss`.
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
            "minimizer stands for. Received: discriminator_loss="
            f"{discriminator_loss!r}."
        )
    if key_of(discriminator_loss) == "wasserstein":
        raise ValueError(
            "`discriminator_loss='wasserstein'` estimates no density ratio. "
            "Use the model `keras_monoflow.W1FE`, or a `ParticleFlow`. "
            f"Known names: {', '.join(sorted(NAMED))}."
        )
    return OBJECTIVES.make(
        discriminator_loss, matched=lambda: _matched(mapping)
    )


def _matched(mapping: Any) -> MatchedLoss:
    if mapping is None:
        raise ValueError(
            "`discriminator_loss='matched'` stands for the objective of a "
            "mapping, and none was given. Use `MatchedLoss(mapping)`."
        )
    return MatchedLoss(mappings.get(mapping))
