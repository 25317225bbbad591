"""Keras 3 models that train generators by following gradient flows."""

from keras_monoflow import losses, mappings, optimizers, penalties
from keras_monoflow.models import AdversarialModel, MonoFlowGAN

__version__ = "0.1.0"
