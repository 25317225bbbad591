"""Augmentations by name, and their configurations."""

from typing import Any

import keras

from keras_monoflow.augmentation.adaptive_augment import AdaptiveAugment
from keras_monoflow.augmentation.augment import (
    Augment,
    FunctionAugment,
    LayerAugment,
)
from keras_monoflow.augmentation.diff_augment import DiffAugment
from keras_monoflow.registry import lookup

NAMED = {
    "diff_augment": DiffAugment,
    "diffaugment": DiffAugment,
    "adaptive": AdaptiveAugment,
    "ada": AdaptiveAugment,
}


def get(augment: Any) -> Augment | None:
    """Returns an `Augment`, or `None`.

    Args:
        augment: A name (`"diff_augment"`, `"ada"`), an `Augment`, its
            configuration, a `keras.Layer`, a function of samples and a seed,
            or `None`.

    Raises:
        ValueError: If a name is unknown.
        TypeError: If it is none of these.
    """
    if isinstance(augment, dict):
        augment = keras.saving.deserialize_keras_object(augment)
    if augment is None or isinstance(augment, Augment):
        return augment
    if isinstance(augment, str):
        return lookup(augment, NAMED, "augment")()
    if isinstance(augment, keras.layers.Layer):
        return LayerAugment(augment)
    if isinstance(augment, type) or not callable(augment):
        raise TypeError(
            "`augment` must be a name such as 'diff_augment', a "
            "`keras_monoflow.augmentation.Augment`, a Keras layer, a function "
            f"of samples and a seed, or None. Received: augment={augment!r}."
        )
    return FunctionAugment(augment)
