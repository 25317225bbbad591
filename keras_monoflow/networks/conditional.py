"""How generators and discriminators take labels."""

import keras
from keras import layers

from keras_monoflow.networks.arguments import Seeds
from keras_monoflow.networks.label_embedding import LabelEmbedding
from keras_monoflow.typing import Tensor


def with_labels(
    inputs: Tensor, classes: int | None
) -> tuple[Tensor | list[Tensor], Tensor | None]:
    """Returns the inputs of a model, and its labels or `None`.

    With classes the inputs are a list: what was there, and labels `(batch,)`.
    """
    if classes is None:
        return inputs, None
    labels = keras.Input((), dtype="int32", name="labels")
    return [inputs, labels], labels


def append_embedding(
    latents: Tensor, labels: Tensor | None, classes: int | None, seeds: Seeds
) -> Tensor:
    """Returns latents, with an embedding of the labels appended if given.

    It has as many numbers as there are classes, 64 at most, and starts from
    N(0, 1), so that a label weighs as much as the latents do.
    """
    if classes is None:
        return latents
    normal = keras.initializers.RandomNormal(0.0, 1.0, seed=next(seeds))
    embedding = LabelEmbedding(classes, min(classes, 64), normal)
    return layers.Concatenate()([latents, embedding(labels)])
