"""What all penalties on the discriminator have in common."""

from collections.abc import Callable
from typing import Any

import keras

from keras_monoflow.arguments import check_integer, check_number, takes
from keras_monoflow.schedules import user_objects, value_at
from keras_monoflow.typing import Config, Seed, Tensor


class WeightedTerm:
    """Base of all penalties, which are added to the discriminator's objective.

    Called as `penalty(discriminator, real, generated, seed)`: a function of a
    batch that returns `(batch,)` or `(batch, 1)`, two batches of equal shape,
    and a seed or `keras.random.SeedGenerator`. Returns a float32 scalar,
    `weight * value(...)`.

    Args:
        weight: Positive float, or a `keras.optimizers.schedules` object of the
            round.
        every: Integer `k`. A model adds the penalty in every `k`-th round
            alone, `k` times as strongly, so that its mean stays the same
            (lazy regularization: Karras et al. 2020, arXiv 1912.04958).

    Raises:
        TypeError, ValueError: If an argument is out of range.
    """

    def __init__(self, weight: Any, every: int = 1) -> None:
        owner = type(self).__name__
        if not callable(weight):
            weight = check_number(
                f"weight of {owner}",
                weight,
                above=0,
                hint="For no penalty, pass `penalty=None`.",
            )
        self.weight = weight
        self.every = check_integer("every", every, minimum=1)

    def value(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Tensor,
        generated: Tensor,
        seed: Seed = None,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Returns the penalty for the weight 1; arguments as above.

        To be used with weights of samples it takes `real_weight` and
        `fake_weight` too, weights of the rows whose mean is 1, or `None`.
        """
        raise NotImplementedError

    @property
    def whole_batch_part(self) -> str | None:
        """What of it is not a mean over samples, if anything."""
        return None

    def check_outputs(self, outputs: list[Tensor]) -> None:
        """Checks the outputs of a discriminator, one of each head.

        Raises:
            ValueError: If the penalty cannot act on them.
        """

    def user_objects(self) -> list[tuple[Any, str]]:
        """Returns what a user has passed and must have registered with Keras
        for a model to be saved, each with the name of its argument."""
        of_weight = user_objects(self.weight, "weight of `penalty`")
        return [(type(self), "penalty"), *of_weight]

    def __call__(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Tensor,
        generated: Tensor,
        seed: Seed = None,
    ) -> Tensor:
        value = self.value(discriminator, real, generated, seed)
        return self.weight_at(0, value.dtype) * value

    @property
    def takes_sample_weights(self) -> bool:
        """Whether `value` takes weights of samples."""
        return takes(self.value, "real_weight")

    def weight_at(self, round_number: Any, dtype: Any = "float32") -> Any:
        """Returns the weight in a round, a number or a scalar tensor."""
        return value_at(self.weight, round_number, dtype)

    def get_config(self) -> Config:
        # (A number stays as it is.)
        weight = keras.saving.serialize_keras_object(self.weight)
        return {"weight": weight, "every": self.every}

    @classmethod
    def from_config(cls, config: Config) -> Any:
        weight = keras.saving.deserialize_keras_object(config["weight"])
        return cls(**{**config, "weight": weight})
