"""Keras models that train by flows."""

from keras_monoflow.models.adversarial_model import AdversarialModel
from keras_monoflow.models.monoflow_gan import MonoFlowGAN
from keras_monoflow.models.particle_flow import ParticleFlow
from keras_monoflow.models.pretrained import load_pretrained, pretrained_cards
from keras_monoflow.models.sample_flow import SampleFlow
from keras_monoflow.models.w1fe import W1FE
from keras_monoflow.models.w2fe import W2FE

__all__ = [
    "W1FE",
    "W2FE",
    "AdversarialModel",
    "MonoFlowGAN",
    "ParticleFlow",
    "SampleFlow",
    "load_pretrained",
    "pretrained_cards",
]
