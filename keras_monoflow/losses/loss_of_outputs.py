"""What all losses of two outputs of a discriminator have in common."""

import keras

from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Config, Tensor


class LossOfOutputs(keras.losses.Loss):
    """Base of the losses `loss(real_output, fake_output)`.

    A subclass defines `call(real_output, fake_output)`, a scalar. Keras's own
    `__call__` would cast to the default type; here float64 stays, and half
    precision becomes float32.

    To be used with weights of samples, `call` takes `real_weight` and
    `fake_weight` too, weights of the rows whose mean is 1, or `None`.
    """

    def __call__(
        self, real_output: Tensor, fake_output: Tensor, **weights: Tensor
    ) -> Tensor:
        return self.call(
            at_least_float32(real_output),
            at_least_float32(fake_output),
            **weights,
        )

    def get_config(self) -> Config:
        return {"name": self.name}
