"""A penalty on outputs that change where they should not."""

from collections.abc import Callable
from typing import Any

import keras

from keras_monoflow import augmentation
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.penalties.weighted_term import WeightedTerm
from keras_monoflow.registry import PENALTIES
from keras_monoflow.typing import Config, Seed, Tensor


@PENALTIES.register("consistency", aliases=("bcr",))
class Consistency(WeightedTerm):
    """`w [E (D(x) - D(T(x)))^2 + E (D(y) - D(T(y)))^2]`, `T` an augmentation.

    The discriminator is to judge changed samples as it does the samples. Unlike
    `compile(augment=...)` it sees the samples themselves too, and the flow
    stays the same: where the output does not depend on `T` anyway, nothing is
    penalized.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        augment: As in `compile`: `"diff_augment"` for images, a
            `keras_monoflow.augmentation.Augment` or a function of samples and
            a seed, but none that learns or draws by itself.
        every: Rounds from one to the next.

    Raises:
        TypeError, ValueError: If an argument is out of range, or, when called,
            if `augment` does not suit the samples.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    penalty = kmf.penalties.Consistency(10.0, lambda x, seed: x + 0.5)
    double = lambda x: 2 * x
    print(penalty(double, np.ones((3, 1)), np.zeros((3, 1))))  # 10 (1 + 1)
    ```

    Source: Zhao et al. 2020, arXiv 2002.04724, algorithm 1; for real samples
    Zhang et al. 2020, arXiv 1910.12027.
    """

    def __init__(
        self,
        weight: Any = 10.0,
        augment: Any = "diff_augment",
        every: int = 1,
    ) -> None:
        super().__init__(weight, every)
        self.augment: Any = augmentation.get(augment)
        if self.augment is None or self.augment.make_state() is not None:
            raise ValueError(
                "`augment` of Consistency must change samples, and keep no "
                "state from step to step, as Keras layers and "
                "`AdaptiveAugment` do. "
                "Pass a `DiffAugment`, or a function of samples and a seed. "
                f"Received: augment={augment!r}."
            )

        if callable(self.augment.probability):
            raise ValueError(
                "`augment` of Consistency must have a constant `probability`, "
                "since a penalty does not know the round. Received: "
                f"probability={self.augment.probability!r}."
            )

    def value(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Tensor,
        generated: Tensor,
        seed: Seed = None,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        self.augment.check(real.shape[1:])
        seeds = (seed, seed + 1) if isinstance(seed, int) else (seed, seed)
        return sum(
            self._difference(discriminator, x, seed, weight)
            for x, seed, weight in zip(
                (real, generated), seeds, (real_weight, fake_weight)
            )
        )

    def _difference(
        self,
        discriminator: Callable[[Tensor], Tensor],
        x: Tensor,
        seed: Seed,
        weight: Tensor | None,
    ) -> Tensor:
        x = at_least_float32(x)
        changed = self.augment(x, seed)
        here, there = discriminator(x), discriminator(changed)
        difference = at_least_float32(here) - at_least_float32(there)
        return mean(difference**2, weight)

    def user_objects(self) -> list[tuple[Any, str]]:
        of_augment = [thing for thing, _ in self.augment.user_objects()]
        return [
            *super().user_objects(),
            *((thing, "augment of Consistency") for thing in of_augment),
        ]

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {**super().get_config(), "augment": serialize(self.augment)}
