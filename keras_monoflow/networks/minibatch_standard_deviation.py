"""How much a batch varies, as a further feature."""

import keras
from keras import ops

from keras_monoflow.backend import replicas
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class MinibatchStandardDeviation(keras.layers.Layer):
    """Appends how much the batch varies, for a discriminator.

    The standard deviation of each feature over the whole batch, averaged over
    all features, is one number, appended to every sample as a last channel. A
    discriminator sees by it whether a batch varies as much as the data do.

    The output for one sample then depends on the others: gradients and
    penalties of single samples see only part of it, in training and in looks at
    a trained model. For a discriminator that sees several samples at once by
    definition, take `pack`.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        x: Tensor `(batch, ..., channels)`.

    Returns:
        A tensor `(batch, ..., channels + 1)`.

    Raises:
        ValueError: In training on several devices of `tf.distribute` or
            processes of `torch.distributed`, each of which sees a part of the
            batch alone. On JAX the batch is seen as a whole.

    Source: Karras et al. 2018, arXiv 1710.10196, section 3.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    layer = kmf.networks.MinibatchStandardDeviation()
    print(layer(np.array([[0.0], [2.0]])))  # [[0, 1], [2, 1]]
    ```
    """

    def call(self, x: Tensor) -> Tensor:
        if replicas.count() > 1:
            raise ValueError(
                "`MinibatchStandardDeviation` needs the whole batch, of which "
                f"each of {replicas.count()} replicas sees a part. Train on "
                "one device, leave it out, or take `pack`, or JAX."
            )
        wide = at_least_float32(x)
        # (A standard deviation of 0 has no gradient.)
        deviation = ops.sqrt(ops.var(wide, axis=0) + 1e-8)
        shape = (ops.shape(x)[0], *x.shape[1:-1], 1)
        channel = ops.broadcast_to(ops.mean(deviation), shape)
        return ops.concatenate([x, ops.cast(channel, x.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], input_shape[-1] + 1)
