"""Keras models that train by flows."""

from keras_monoflow.models.adversarial_model import AdversarialModel
from keras_monoflow.models.monoflow_gan import MonoFlowGAN

__all__ = ["AdversarialModel", "MonoFlowGAN"]
