"""Draws of classes that let gradients through."""

from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class GumbelSoftmax(keras.layers.Layer):
    """Draws a class from logits, as a one-hot row that has a gradient.

    With Gumbel noise `g = -log(-log u)`, `u` uniform in (0, 1), the largest of
    `logits + g` is a draw from `softmax(logits)`. The layer returns

        softmax((logits + g) / temperature),

    or with `hard=True` the one-hot row of its largest entry, with the gradient
    of the softmax (straight-through). For the discrete columns of tables and
    the kinds of nodes and bonds in graphs, at the end of a generator. Data
    should be one-hot rows.

    It draws in inference too, from a seed of its own, which the models of this
    package save and resume.

    Args:
        temperature: Positive float. The smaller, the closer to one-hot rows,
            and the larger the variance of the gradients.
        hard: Whether to return one-hot rows.
        seed: Integer seed of the noise, or `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        logits: Tensor `(batch, ..., classes)`.

    Returns:
        A tensor of the same shape, whose last axis sums to 1.

    Raises:
        TypeError, ValueError: If the temperature is not positive.

    Source: Jang et al. 2017, arXiv 1611.01144; Maddison et al. 2017, arXiv
    1611.00712.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    layer = kmf.networks.GumbelSoftmax(temperature=0.2, seed=0)
    print(layer(keras.ops.zeros((2, 3))))  # about one-hot
    ```
    """

    def __init__(
        self,
        temperature: float = 0.2,
        hard: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.temperature = check_number(
            "temperature of GumbelSoftmax", temperature, above=0
        )
        self.hard, self.seed = bool(hard), seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, logits: Tensor) -> Tensor:
        wide = at_least_float32(logits)
        u = keras.random.uniform(
            ops.shape(wide), 1e-20, 1.0, wide.dtype, self.seed_generator
        )
        # (A uniform number may round to 1.)
        noise = -ops.log(ops.maximum(-ops.log(u), 1e-20))
        soft = ops.softmax((wide + noise) / self.temperature, axis=-1)
        if self.hard:
            classes = ops.argmax(soft, axis=-1)
            one_hot = ops.one_hot(classes, wide.shape[-1], dtype=wide.dtype)
            soft = ops.stop_gradient(one_hot - soft) + soft
        return ops.cast(soft, logits.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "hard": self.hard,
            "seed": self.seed,
        }
