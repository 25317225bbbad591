"""Networks to start from: perceptrons for points, convolutions for images.

With `classes` they see labels; the layers that do so are here for networks of
your own.
"""

from keras_monoflow.networks.conditional_batch_norm import (
    ConditionalBatchNormalization,
)
from keras_monoflow.networks.dcgan import dcgan_discriminator, dcgan_generator
from keras_monoflow.networks.gumbel_softmax import GumbelSoftmax
from keras_monoflow.networks.label_embedding import LabelEmbedding
from keras_monoflow.networks.minibatch_standard_deviation import (
    MinibatchStandardDeviation,
)
from keras_monoflow.networks.mlp import mlp_discriminator, mlp_generator
from keras_monoflow.networks.projection import ProjectionOutput
from keras_monoflow.networks.r3gan import r3gan_discriminator, r3gan_generator
from keras_monoflow.networks.resnet import (
    resnet_discriminator,
    resnet_generator,
)
from keras_monoflow.networks.translation import (
    multi_scale,
    patch_discriminator,
    unet_generator,
)

__all__ = [
    "ConditionalBatchNormalization",
    "GumbelSoftmax",
    "LabelEmbedding",
    "MinibatchStandardDeviation",
    "ProjectionOutput",
    "dcgan_discriminator",
    "dcgan_generator",
    "mlp_discriminator",
    "mlp_generator",
    "multi_scale",
    "patch_discriminator",
    "r3gan_discriminator",
    "r3gan_generator",
    "resnet_discriminator",
    "resnet_generator",
    "unet_generator",
]
