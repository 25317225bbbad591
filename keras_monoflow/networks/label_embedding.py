"""A vector for each class, learned."""

import keras

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks.labels import check_label_shape, one_hot


@keras.saving.register_keras_serializable("keras_monoflow")
class LabelEmbedding(keras.layers.Layer):
    """A trained vector for each class, for the input of a generator.

    It differs from `keras.layers.Embedding` in two ways. Labels that are no
    class give NaN on all backends, where a gather may raise an error, give NaN
    or take another class. And its gradients are dense on TensorFlow, too,
    where those of a gather are `IndexedSlices`, which cannot be added.

    Args:
        classes: Integer, the number of classes. Labels lie in
            `0, ..., classes - 1`.
        units: Integer, the size of the vectors.
        embeddings_initializer: Initializer of the matrix `(classes, units)`.
            Defaults to `None`, the standard normal law.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        labels: Integers of shape `(batch,)`, from
            `keras.Input((), dtype="int32")`.

    Returns:
        A tensor `(batch, units)`.

    Raises:
        TypeError: If a size is no integer, or labels are not.
        ValueError: If a size is below 1, or labels have another shape.

    Source: Mirza and Osindero 2014, arXiv 1411.1784, give labels to
    a generator next to its latent vector.

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
    ```
    """

    def __init__(self, classes, units, embeddings_initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.classes = check_integer("classes", classes, minimum=1)
        self.units = check_integer("units", units, minimum=1)
        if embeddings_initializer is None:
            embeddings_initializer = keras.initializers.RandomNormal(0.0, 1.0)
        self.embeddings_initializer = keras.initializers.get(
            embeddings_initializer
        )

    def build(self, input_shape):
        check_label_shape(input_shape, type(self).__name__)
        self.embeddings = self.add_weight(
            shape=(self.classes, self.units),
            initializer=self.embeddings_initializer,
            name="embeddings",
        )

    def call(self, labels):
        rows = one_hot(labels, self.classes, self.compute_dtype)
        return keras.ops.matmul(rows, self.embeddings)

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "units": self.units,
            "embeddings_initializer": keras.initializers.serialize(
                self.embeddings_initializer
            ),
        }
