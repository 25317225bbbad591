"""The last layer of a discriminator that sees labels."""

from typing import Any

import keras
from keras import layers, ops

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks.labels import check_pair, one_hot
from keras_monoflow.networks.spectral import normalize_spectrum
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class ProjectionOutput(keras.layers.Layer):
    """The output of a projection discriminator, one number for each sample.

    With features `h` of a sample and its label `y` it is
    `w · h + b + v_y · h`, where `w`, `b` and one vector `v_y` for each class
    are trained. The first part tells samples from data, the second one whether
    a sample fits its label. It computes in float32 unless `dtype` says
    otherwise, since losses and flows need that.

    Args:
        classes: Integer, the number of classes. Labels lie in
            `0, ..., classes - 1`; others give NaN.
        use_bias: Boolean, whether there is the number `b`. Defaults to `True`.
        spectral_normalization: Boolean, whether to divide `w` and the matrix
            of all `v_y` by their largest singular values, as
            `keras.layers.SpectralNormalization` does. Defaults to `False`.
        kernel_initializer: Initializer of `w`, `(features, 1)`. Defaults to
            `"glorot_uniform"`.
        bias_initializer: Initializer of `b`, `(1,)`. Defaults to `"zeros"`.
        embeddings_initializer: Initializer of all `v_y`,
            `(classes, features)`. Defaults to `"glorot_uniform"`.
        dtype: Dtype or policy of the layer. Defaults to `"float32"`.
        **kwargs: Base layer keyword arguments, such as `name`.

    Call arguments:
        inputs: A list `[features, labels]`: numbers `(batch, features)` and
            integers `(batch,)`.
        training: Boolean, whether spectral normalization takes a step.

    Returns:
        A tensor `(batch, 1)`.

    Raises:
        TypeError: If `classes` or the labels are not integers.
        ValueError: If `classes` is below 1, or the inputs are not such a list.

    Source: Miyato and Koyama 2018, arXiv 1802.05637, eq. 3 and figure 1.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    samples = keras.Input((2,))
    labels = keras.Input((), dtype="int32")
    features = keras.layers.Dense(64, activation="relu")(samples)
    outputs = kmf.networks.ProjectionOutput(classes=10)([features, labels])
    discriminator = keras.Model([samples, labels], outputs)
    print(discriminator.output_shape)  # (None, 1)
    ```
    """

    def __init__(
        self,
        classes: int,
        use_bias: bool = True,
        spectral_normalization: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        embeddings_initializer: Any = "glorot_uniform",
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, **kwargs)
        self.classes = check_integer("classes", classes, minimum=1)
        self.use_bias = bool(use_bias)
        self.spectral_normalization = bool(spectral_normalization)
        get = keras.initializers.get
        self.kernel_initializer = get(kernel_initializer)
        self.bias_initializer = get(bias_initializer)
        self.embeddings_initializer = get(embeddings_initializer)

    def build(self, input_shape: Any) -> None:
        owner = type(self).__name__
        shape = check_pair(input_shape, owner, "features")
        if len(shape) != 2 or shape[-1] is None:
            raise ValueError(
                f"{owner} takes features of shape (batch, features), "
                f"`features` known. Received: shape {shape}. Flatten or pool "
                "them first."
            )
        self.linear = self._dense(
            1,
            self.kernel_initializer,
            name="linear",
            use_bias=self.use_bias,
            bias_initializer=self.bias_initializer,
        )
        self.linear.build(shape)
        # The kernel of a layer on one-hot labels is the matrix of all v_y.
        self.embedding = self._dense(
            shape[-1],
            self.embeddings_initializer,
            name="embedding",
            use_bias=False,
        )
        self.embedding.build((shape[0], self.classes))

    def _dense(
        self, units: int, initializer: Any, **options: Any
    ) -> keras.Layer:
        layer = layers.Dense(
            units,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            **options,
        )
        layer = normalize_spectrum(layer, self.spectral_normalization)
        layer.trainable = self.trainable
        return layer

    def call(self, inputs: list[Tensor], training: bool = False) -> Tensor:
        features, labels = inputs
        options = {"training": training} if self.spectral_normalization else {}
        labels = one_hot(labels, self.classes, self.compute_dtype)
        embedded = self.embedding(labels, **options)
        projection = ops.sum(embedded * features, axis=-1, keepdims=True)
        return self.linear(features, **options) + projection

    def get_config(self) -> Config:
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "classes": self.classes,
            "use_bias": self.use_bias,
            "spectral_normalization": self.spectral_normalization,
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "embeddings_initializer": serialize(self.embeddings_initializer),
        }
