"""Augmentation of what a discriminator sees, for small data.

Real and generated samples are changed at random before every look of the
discriminator, also where the generator learns from it, with the gradient
through the change. The discriminator then cannot learn few data by heart.
"""

from keras_monoflow.augmentation.adaptive_augment import AdaptiveAugment
from keras_monoflow.augmentation.augment import (
    Augment,
    FunctionAugment,
    LayerAugment,
)
from keras_monoflow.augmentation.diff_augment import DiffAugment
from keras_monoflow.augmentation.lookup import get

__all__ = [
    "AdaptiveAugment",
    "Augment",
    "DiffAugment",
    "FunctionAugment",
    "LayerAugment",
    "get",
]
