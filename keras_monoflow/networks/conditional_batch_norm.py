"""Batch normalization whose scale and offset depend on a label."""

from typing import Any

import keras
from keras import layers, ops

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.networks.label_embedding import LabelEmbedding
from keras_monoflow.networks.labels import check_pair
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Normalizes a batch, then applies the scale and offset of each class.

    With `x` and its label `y` it returns
    `scale[y] * (x - mean) / sqrt(variance + epsilon) + offset[y]`. The last
    axis holds the features. Means and variances are those of the whole batch,
    and the moving ones, used when not training, are shared by all classes. It
    computes in float32, as batch normalization of Keras does.

    Args:
        classes: Integer, the number of classes. Labels lie in
            `0, ..., classes - 1`; others give NaN.
        momentum: Number from 0 to 1, the share of the moving statistics that
            a batch keeps. Defaults to `0.9`.
        epsilon: Number, at least 0. Defaults to `1e-5`.
        scale_initializer: Initializer of the scales `(classes, features)`.
            Defaults to `"ones"`.
        offset_initializer: Initializer of the offsets `(classes, features)`.
            Defaults to `"zeros"`.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: A list `[x, labels]`: features `(batch, ..., features)` and
            integers `(batch,)`.
        training: Boolean, whether to normalize with the statistics of the
            batch and to update the moving ones.

    Returns:
        A tensor of the shape of `x`.

    Raises:
        TypeError: If `classes` or the labels are not integers.
        ValueError: If an argument is out of its range, or the inputs are not
            such a list.

    Source: Dumoulin et al. 2017, arXiv 1610.07629, eq. 5; de Vries et al. 2017,
    arXiv 1707.00683; in generators Miyato and Koyama 2018, arXiv 1802.05637.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    x = keras.Input((8, 8, 16))
    labels = keras.Input((), dtype="int32")
    layer = kmf.networks.ConditionalBatchNormalization(classes=10)
    model = keras.Model([x, labels], layer([x, labels]))
    print(model.output_shape)  # (None, 8, 8, 16)
    ```
    """

    def __init__(
        self,
        classes: int,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        scale_initializer: Any = "ones",
        offset_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.classes = check_integer("classes", classes, minimum=1)
        self.momentum = check_number(
            "momentum", momentum, minimum=0.0, maximum=1.0
        )
        self.epsilon = check_number("epsilon", epsilon, minimum=0.0)
        self.scale_initializer = keras.initializers.get(scale_initializer)
        self.offset_initializer = keras.initializers.get(offset_initializer)

    def build(self, input_shape: Any) -> None:
        shape = check_pair(input_shape, type(self).__name__, "x")
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        self.normalization = layers.BatchNormalization(
            momentum=self.momentum,
            epsilon=self.epsilon,
            center=False,
            scale=False,
            dtype=dtype,
            trainable=self.trainable,
        )
        self.normalization.build(shape)
        tables = {
            "scale": self.scale_initializer,
            "offset": self.offset_initializer,
        }
        for name, initializer in tables.items():
            table = LabelEmbedding(
                self.classes,
                shape[-1],
                initializer,
                name=name,
                dtype=dtype,
                trainable=self.trainable,
            )
            table.build(input_shape[1])
            setattr(self, name, table)

    def call(self, inputs: list[Tensor], training: bool = False) -> Tensor:
        x, labels = inputs
        ones = (1,) * (len(x.shape) - 2)

        def of_class(table: LabelEmbedding) -> Tensor:
            return ops.reshape(table(labels), (-1, *ones, x.shape[-1]))

        x = self.normalization(x, training=training)
        x = x * of_class(self.scale) + of_class(self.offset)
        return ops.cast(x, self.compute_dtype)

    def get_config(self) -> Config:
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "classes": self.classes,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "scale_initializer": serialize(self.scale_initializer),
            "offset_initializer": serialize(self.offset_initializer),
        }
