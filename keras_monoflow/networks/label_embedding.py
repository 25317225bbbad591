"""A vector for each class, learned."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks.labels import check_label_shape, one_hot
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class LabelEmbedding(keras.layers.Layer):
    """A trained vector for each class, for the input of a generator.

    For the label `y` it is row `y` of a matrix `E`. It differs from
    `keras.layers.Embedding` in two ways. Labels outside of
    `0, ..., classes - 1` give NaN on all backends, where a gather may raise an
    error, give NaN or take another class. And its gradients are dense on
    TensorFlow, too, where those of a gather are `IndexedSlices`, which cannot
    be added.

    Args:
        classes: Integer, the number of classes.
        units: Integer, the size of the vectors.
        embeddings_initializer: Initializer of `E`, `(classes, units)`.
            Defaults to `None`, the standard normal law.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        labels: Integers of shape `(batch,)`, from
            `keras.Input((), dtype="int32")`.

    Returns:
        A tensor `(batch, units)`.

    Raises:
        TypeError: If a size is not an integer, or labels are not.
        ValueError: If a size is below 1, or labels have another shape.

    Source: Mirza and Osindero 2014, arXiv 1411.1784, section 3.2.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    latents = keras.Input((2,))
    labels = keras.Input((), dtype="int32")
    embedding = kmf.networks.LabelEmbedding(classes=10, units=8)(labels)
    x = keras.layers.Concatenate()([latents, embedding])
    x = keras.layers.Dense(64, activation="relu")(x)
    generator = keras.Model([latents, labels], keras.layers.Dense(2)(x))
    print(generator.output_shape)  # (None, 2)
    ```
    """

    def __init__(
        self,
        classes: int,
        units: int,
        embeddings_initializer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.classes = check_integer("classes", classes, minimum=1)
        self.units = check_integer("units", units, minimum=1)
        if embeddings_initializer is None:
            embeddings_initializer = keras.initializers.RandomNormal(0.0, 1.0)
        self.embeddings_initializer = keras.initializers.get(
            embeddings_initializer
        )

    def build(self, input_shape: Sequence[int | None]) -> None:
        check_label_shape(input_shape, type(self).__name__)
        self.embeddings = self.add_weight(
            shape=(self.classes, self.units),
            initializer=self.embeddings_initializer,
            name="embeddings",
        )

    def call(self, labels: Tensor) -> Tensor:
        rows = one_hot(labels, self.classes, self.compute_dtype)
        return keras.ops.matmul(rows, self.embeddings)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "classes": self.classes,
            "units": self.units,
            "embeddings_initializer": keras.initializers.serialize(
                self.embeddings_initializer
            ),
        }
