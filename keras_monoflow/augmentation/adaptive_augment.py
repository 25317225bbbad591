"""Augmentation as strong as the discriminator needs it."""

from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.augmentation.augment import Augment
from keras_monoflow.augmentation.diff_augment import DiffAugment
from keras_monoflow.backend import replicas
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.typing import Config, Seed, Tensor


class Strength(keras.layers.Layer):
    """The probability of changes, and what it follows.

    Args:
        start: The first probability.
    """

    def __init__(self, start: float) -> None:
        super().__init__(dtype="float32", trainable=False, name="strength")
        constant = keras.initializers.Constant(start)
        self.probability = self.add_weight(shape=(), initializer=constant)
        #: The sum of signs, the rows and the steps since the last change.
        self.counts = self.add_weight(shape=(3,), initializer="zeros")
        self.built = True


@keras.saving.register_keras_serializable("keras_monoflow")
class AdaptiveAugment(Augment):
    """Changes whose probability `p` follows the outputs on real samples.

    A discriminator that overfits gives all real samples positive outputs. So
    every `every` steps

        p <- p + sign(E sign(D(T(x))) - target) (samples seen since) / ramp

    within [0, 1]. A model saves `p` and goes on with it. The sign means
    something where an output above 0 stands for "real", as with the logistic
    loss; with `RelativisticLoss`, add `Centering`.

    Args:
        augment: What to change: an `Augment` whose `change` heeds its
            probability, and which learns nothing of its own. `DiffAugment()`
            by default.
        target: Float between -1 and 1.
        every: Integer, steps of the discriminator between two changes of `p`.
        ramp: Number of samples in which `p` goes from 0 to 1.
        start: The first probability.

    Raises:
        TypeError, ValueError: If an argument is out of range, or `augment` has
            no probability to adapt.

    Example:

    ```python
    import keras_monoflow as kmf

    augment = kmf.augmentation.AdaptiveAugment(target=0.6)
    ```

    Source: Karras et al. 2020, arXiv 2006.06676.
    """

    uses_probability = False

    def __init__(
        self,
        augment: Any = None,
        target: float = 0.6,
        every: int = 4,
        ramp: float = 500_000,
        start: float = 0.0,
    ) -> None:
        super().__init__(start)
        self.augment = DiffAugment() if augment is None else augment
        if (
            not isinstance(self.augment, Augment)
            or not self.augment.uses_probability
            or self.augment.make_state() is not None
        ):
            raise TypeError(
                "`augment` of AdaptiveAugment must be an `Augment` without a "
                "state, whose `change` heeds its probability, such as "
                f"`DiffAugment()`. Received: augment={augment!r}."
            )
        if self.augment.probability != 1.0:
            raise ValueError(
                "`augment` of AdaptiveAugment must have no `probability` of "
                "its own, since that is what adapts; it begins at `start`. "
                f"Received: probability={self.augment.probability!r}."
            )
        self.target = check_number(
            "target", target, above=-1, below=1, hint="0.6 is usual."
        )
        self.every = check_integer("every", every, minimum=1)
        self.ramp = check_number("ramp", ramp, above=0)

    def user_objects(self) -> list[tuple[Any, str]]:
        return [*super().user_objects(), *self.augment.user_objects()]

    def check(self, sample_shape: tuple[int, ...]) -> None:
        self.augment.check(sample_shape)

    def change(self, x: Tensor, probability: Tensor, seed: Seed) -> Tensor:
        return self.augment.change(x, probability, seed)

    def make_state(self) -> keras.layers.Layer:
        return Strength(self.probability)

    def probability_at(self, round_number: Any, state: Any = None) -> Any:
        if state is None:
            return self.probability
        return ops.convert_to_tensor(state.probability)

    def update(self, state: Any, real_output: Tensor) -> None:
        signs = ops.sign(ops.stop_gradient(at_least_float32(real_output)))
        (share,) = replicas.mean([ops.cast(mean(signs), "float32")])
        rows = ops.cast(ops.shape(real_output)[0], "float32")
        rows = rows * replicas.count()
        counts = ops.convert_to_tensor(state.counts)
        counts = counts + ops.stack([share * rows, rows, ops.ones_like(rows)])
        due = ops.cast(counts[2] >= self.every, "float32")
        direction = ops.sign(counts[0] / counts[1] - self.target)
        old = ops.convert_to_tensor(state.probability)
        new = old + due * direction * counts[1] / self.ramp
        state.probability.assign(ops.clip(new, 0.0, 1.0))
        state.counts.assign((1.0 - due) * counts)

    def get_config(self) -> Config:
        return {
            "augment": keras.saving.serialize_keras_object(self.augment),
            "target": self.target,
            "every": self.every,
            "ramp": self.ramp,
            "start": self.probability,
        }
