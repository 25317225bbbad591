"""What all further terms of a generator's loss have in common."""

from collections.abc import Callable
from typing import Any

import keras

from keras_monoflow.arguments import check_number
from keras_monoflow.registry import TERMS
from keras_monoflow.schedules import user_objects, value_at
from keras_monoflow.typing import Config, Tensor

BALANCED = "balanced"

#: Returns the hidden layers of the frozen discriminator at samples, a list.
Features = Callable[[Tensor], list[Tensor]]


class GeneratorTerm:
    """Base of the terms that are added to a generator's loss.

    A subclass defines `value`.

    Args:
        weight: Positive float, a `keras.optimizers.schedules` object of the
            round, or `"balanced"`: so large that the term pulls as strongly at
            the generated samples as the flow does, by the norms of both
            gradients in each round, `|flow| / (|term| + 1e-4)` and at most
            1e4. (VQGAN, arXiv 2012.09841, eq. 7, scales the adversarial loss
            by the inverse, and takes the gradients at the last layer.)
        name: What logs call the term; by default the class's `default_name`.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:

    ```python
    from keras import ops
    import keras_monoflow as kmf

    class Brightness(kmf.terms.GeneratorTerm):
        default_name = "brightness"

        def value(self, samples, real, condition, features):
            return (ops.mean(samples) - ops.mean(real)) ** 2

    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2), kmf.networks.mlp_discriminator(2)
    )
    gan.compile("adam", "adam", generator_terms=[Brightness(weight=0.1)])
    ```
    """

    default_name = "term"

    #: What of it is not a mean over samples, if anything.
    whole_batch_part: Any = None

    #: Whether a sample is compared with the real one in its row.
    needs_pairs = False

    #: Whether samples of several parts come as rows of all their numbers, and
    #: not as the dictionary or list that the generator returns.
    takes_rows = False

    def __init__(self, weight: Any = 1.0, name: str | None = None) -> None:
        owner = type(self).__name__
        if weight != BALANCED and not callable(weight):
            weight = check_number(
                f"weight of {owner}",
                weight,
                above=0,
                hint="It may also be 'balanced', or a schedule.",
            )
        self.weight = weight
        self.name = self.default_name if name is None else name
        if not isinstance(self.name, str):
            raise TypeError(
                f"`name` of {owner} must be a string. Received: name={name!r}."
            )

    @property
    def is_balanced(self) -> bool:
        return isinstance(self.weight, str)

    def value(
        self, samples: Tensor, real: Tensor, condition: Any, features: Features
    ) -> Tensor:
        """Returns the term for the weight 1, a scalar tensor.

        Args:
            samples: Generated samples, in at least float32, as the generator
                returns them.
            real: The real samples of the batch, as many.
            condition: The labels of both, or `None`.
            features: Function from samples to a list of what the hidden layers
                of the frozen discriminator make of them.
        """
        raise NotImplementedError

    def weight_at(self, round_number: Any, dtype: Any = "float32") -> Any:
        """Returns a weight that is not balanced, in a round."""
        return value_at(self.weight, round_number, dtype)

    def user_objects(self) -> list[tuple[Any, str]]:
        """Returns what a user has passed and must have registered with Keras
        for a model to be saved, each with the name of its argument."""
        of_weight = user_objects(self.weight, "weight of `generator_terms`")
        return [(type(self), "generator_terms"), *of_weight]

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {"weight": serialize(self.weight), "name": self.name}

    @classmethod
    def from_config(cls, config: Config) -> Any:
        deserialize = keras.saving.deserialize_keras_object
        return cls(
            **{
                k: deserialize(v) if isinstance(v, dict) else v
                for k, v in config.items()
            }
        )


@TERMS.register()
class FunctionTerm(GeneratorTerm):
    """A function of samples, real samples, condition and features as a term.

    Args:
        function: It returns a scalar tensor, as `GeneratorTerm.value` does.
            Decorate it with `keras.saving.register_keras_serializable` to be
            able to save models that use it.
        weight: As in `GeneratorTerm`.
        name: By default that of the function.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        weight: Any = 1.0,
        name: str | None = None,
    ) -> None:
        default = getattr(function, "__name__", "term")
        super().__init__(weight, default if name is None else name)
        self.function = function

    def value(
        self, samples: Tensor, real: Tensor, condition: Any, features: Features
    ) -> Tensor:
        return self.function(samples, real, condition, features)

    def user_objects(self) -> list[tuple[Any, str]]:
        return [*super().user_objects(), (self.function, "generator_terms")]

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {**super().get_config(), "function": serialize(self.function)}


def get(terms: Any) -> list[GeneratorTerm]:
    """Returns a list of terms with different names.

    Args:
        terms: A name such as `"feature_matching"`, a `GeneratorTerm`, its
            configuration, a function, a list of these, or `None` for none.

    Raises:
        ValueError: If a name is unknown, or stands twice in the list.
        TypeError: If an entry is none of these.
    """
    if terms is None:
        return []
    entries = terms if isinstance(terms, (list, tuple)) else [terms]
    found = [_get_one(entry, terms) for entry in entries]
    names = [term.name for term in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"Two of `generator_terms` are called {name!r}, and logs could "
                "not tell them apart. Pass `name` to one of them."
            )
    return found


def _get_one(entry: Any, terms: Any) -> GeneratorTerm:
    if isinstance(entry, str):
        return TERMS.make(entry)
    if isinstance(entry, dict):
        entry = keras.saving.deserialize_keras_object(entry)
    if isinstance(entry, GeneratorTerm):
        return entry
    if isinstance(entry, type) or not callable(entry):
        raise TypeError(
            "`generator_terms` must be a list of names, of "
            "`keras_monoflow.terms.GeneratorTerm`s such as "
            "Reconstruction('l1'), or of functions of (samples, real, "
            f"condition, features). Received: generator_terms={terms!r}."
        )
    return FunctionTerm(entry)
