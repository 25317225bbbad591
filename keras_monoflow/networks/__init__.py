"""Small networks to start from: perceptrons for points, DCGANs for images."""

from keras_monoflow.networks.dcgan import dcgan_discriminator, dcgan_generator
from keras_monoflow.networks.mlp import mlp_discriminator, mlp_generator

__all__ = [
    "dcgan_discriminator",
    "dcgan_generator",
    "mlp_discriminator",
    "mlp_generator",
]
