"""What every augmentation has in common."""

from collections.abc import Callable
from typing import Any

import keras

from keras_monoflow import gradients
from keras_monoflow.arguments import check_number
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.schedules import user_objects, value_at
from keras_monoflow.typing import Config, Seed, Tensor


class Augment:
    """Base of the random changes of samples, `T(x)`.

    A discriminator that sees `T(x)` estimates the ratio of the changed
    distributions. Where `T` is invertible in distribution (two distributions
    that look alike after it are alike), the flow rests where it would without.

    A subclass defines `change(x, probability, seed)`.

    Args:
        probability: How probable each change of a sample is: a number from 0
            to 1, or a `keras.optimizers.schedules` object of the round.

    Raises:
        TypeError, ValueError: If it is out of range.
    """

    #: Whether `change` heeds `probability`, so that it can adapt.
    uses_probability = True

    def __init__(self, probability: Any = 1.0) -> None:
        if not callable(probability):
            probability = check_number(
                "probability", probability, minimum=0, maximum=1
            )
        self.probability = probability

    def change(self, x: Tensor, probability: Tensor, seed: Seed) -> Tensor:
        """Returns changed samples.

        Args:
            x: Samples, `(n, *sample_shape)`, in at least float32.
            probability: Number or scalar tensor.
            seed: Integer or `keras.random.SeedGenerator`.
        """
        raise NotImplementedError

    def __call__(self, x: Tensor, seed: Seed = None) -> Tensor:
        """Returns changed samples, as in the first round, in at least
        float32."""
        x = at_least_float32(x)
        return self.change(x, self.probability_at(0), seed)

    def probability_at(self, round_number: Any, state: Any = None) -> Any:
        """Returns the probability in a round.

        Args:
            round_number: Integer or scalar tensor.
            state: What `make_state` returned.
        """
        return value_at(self.probability, round_number)

    def make_state(self) -> keras.layers.Layer | None:
        """Returns a layer with what changes in training, or `None`.

        Each model has one of its own, and writes it to its files.
        """
        return None

    def update(self, state: Any, real_output: Tensor) -> None:
        """Learns from the output on real samples, once in each step of the
        discriminator."""

    def check(self, sample_shape: tuple[int, ...]) -> None:
        """Checks that samples of a shape can be changed.

        Raises:
            ValueError: If not.
        """

    def user_objects(self) -> list[tuple[Any, str]]:
        """Returns what a user has passed and must have registered with Keras
        for a model to be saved, each with the name of its argument."""
        of_probability = user_objects(
            self.probability, "probability of `augment`"
        )
        return [(type(self), "augment"), *of_probability]

    def get_config(self) -> Config:
        # (A number stays as it is.)
        serialize = keras.saving.serialize_keras_object
        return {"probability": serialize(self.probability)}

    @classmethod
    def from_config(cls, config: Config) -> Any:
        deserialize = keras.saving.deserialize_keras_object
        given = {
            k: deserialize(v) if isinstance(v, dict) else v
            for k, v in config.items()
        }
        return cls(**given)


@keras.saving.register_keras_serializable("keras_monoflow")
class FunctionAugment(Augment):
    """A function `f(x, seed)` as an augmentation.

    Args:
        function: It returns changed samples. Decorate it with
            `keras.saving.register_keras_serializable` to be able to save
            models that use it.
    """

    uses_probability = False

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def change(self, x: Tensor, probability: Tensor, seed: Seed) -> Tensor:
        return self.function(x, seed)

    def user_objects(self) -> list[tuple[Any, str]]:
        return [(self.function, "augment")]

    def get_config(self) -> Config:
        return {"function": keras.saving.serialize_keras_object(self.function)}


@keras.saving.register_keras_serializable("keras_monoflow")
class LayerAugment(Augment):
    """A Keras layer, such as `keras.layers.GaussianNoise`, as an augmentation.

    It runs in training mode and draws from its own seed, which goes into the
    model's files.

    Args:
        layer: A `keras.Layer` that keeps the shape.
    """

    uses_probability = False

    def __init__(self, layer: keras.layers.Layer) -> None:
        super().__init__()
        self.layer = layer

    def change(self, x: Tensor, probability: Tensor, seed: Seed) -> Tensor:
        return self.layer(x, training=True)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        # (Keras would build it by a call of the model that holds it.)
        if not self.layer.built:
            self.layer(keras.KerasTensor((None, *sample_shape)))
        gradients.use_seed_states(self.layer)

    def make_state(self) -> keras.layers.Layer:
        return self.layer

    def user_objects(self) -> list[tuple[Any, str]]:
        return [(type(self.layer), "augment")]

    def get_config(self) -> Config:
        return {"layer": keras.saving.serialize_keras_object(self.layer)}
