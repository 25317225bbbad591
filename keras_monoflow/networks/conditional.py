"""How networks take labels: their inputs, embeddings and outputs."""

import keras
from keras import layers

from keras_monoflow.networks.label_embedding import LabelEmbedding
from keras_monoflow.networks.projection import ProjectionOutput


def with_labels(inputs, classes):
    """Return the inputs of a model, and its labels or `None`.

    With classes the inputs are a list: what was there, and labels `(batch,)`.
    """
    if classes is None:
        return inputs, None
    labels = keras.Input((), dtype="int32", name="labels")
    return [inputs, labels], labels


def append_embedding(latents, labels, classes, seeds):
    """Return latents with an embedding of the labels appended, if there are.

    It has as many numbers as there are classes, 64 at most, and starts from
    N(0, 1), so that a label weighs as much as the latents do.
    """
    if labels is None:
        return latents
    normal = keras.initializers.RandomNormal(0.0, 1.0, seed=next(seeds))
    embedding = LabelEmbedding(classes, min(classes, 64), normal)
    return layers.Concatenate()([latents, embedding(labels)])


def projection(features, labels, classes, initializer, **options):
    """Return float32 logits that depend on the labels.

    Args:
        features: Tensor `(batch, features)`.
        labels: Integers `(batch,)`.
        classes: Integer, the number of classes.
        initializer: Function that returns a new initialiser of weights.
        **options: More arguments of `ProjectionOutput`.
    """
    return ProjectionOutput(
        classes,
        kernel_initializer=initializer(),
        embeddings_initializer=initializer(),
        **options,
    )([features, labels])
