"""From the arguments of `compile` to a potential."""

from typing import Any

import keras

from keras_monoflow import mappings
from keras_monoflow.losses import HingeLoss, WassersteinLoss
from keras_monoflow.potentials.log_ratio_potential import LogRatioPotential
from keras_monoflow.potentials.output_potentials import (
    HingePotential,
    WassersteinPotential,
)
from keras_monoflow.registry import key_of


def get(mapping: Any, discriminator_loss: Any) -> Any:
    """Returns the potential that `mapping` and `discriminator_loss` stand for.

    Args:
        mapping: As for `LogRatioPotential`; `None` is `"non_saturating"`, and
            the only choice beside the identity for the two losses that
            estimate no density ratio.
        discriminator_loss: As there, or `"hinge"` or `"wasserstein"`.

    Raises:
        ValueError: If a mapping is given for a flow that has none; else as
            `LogRatioPotential`.
    """
    if isinstance(discriminator_loss, dict):
        discriminator_loss = keras.saving.deserialize_keras_object(
            discriminator_loss
        )
    for kind, name, make in (
        (WassersteinLoss, "wasserstein", WassersteinPotential),
        (HingeLoss, "hinge", HingePotential),
    ):
        is_name = isinstance(discriminator_loss, str)
        if isinstance(discriminator_loss, kind) or (
            is_name and key_of(discriminator_loss) == name
        ):
            _check_no_mapping(mapping, name)
            return make() if is_name else make(discriminator_loss)
    mapping = "non_saturating" if mapping is None else mapping
    return LogRatioPotential(mapping, discriminator_loss)


def _check_no_mapping(mapping: Any, name: str) -> None:
    if mapping is None or isinstance(mappings.get(mapping), mappings.Identity):
        return
    raise ValueError(
        f"discriminator_loss={name!r} estimates no density ratio, so it takes "
        "no mapping: samples climb the output itself. Pass mapping=None, or "
        "take a density ratio objective such as discriminator_loss='logistic'. "
        f"Received: mapping={mapping!r}."
    )
