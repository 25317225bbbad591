"""Penalties on the outputs of the discriminator."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_number, takes
from keras_monoflow.backend import replicas
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.penalties.weighted_term import WeightedTerm
from keras_monoflow.registry import PENALTIES
from keras_monoflow.typing import Config, Seed, Tensor


class OutputPenalty(WeightedTerm):
    """Base of the penalties on the outputs on real and generated samples.

    A subclass defines `of_outputs`. A model hands it the outputs that the
    objective has already.
    """

    def make_state(self) -> keras.layers.Layer | None:
        """Returns a layer with what is remembered from step to step, or `None`.

        Each model has one of its own, and writes it to its files.
        """
        return None

    def of_outputs(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        state: Any = None,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Returns the penalty for the weight 1.

        Args:
            real_output: Output on real samples, `(m,)` or `(m, 1)`.
            fake_output: Output on generated ones, `(n,)` or `(n, 1)`.
            state: What `make_state` returned.
            real_weight: Weights of the rows `(m,)`, whose mean is 1, or `None`.
            fake_weight: The same `(n,)`.
        """
        raise NotImplementedError

    def value(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Tensor,
        generated: Tensor,
        seed: Seed = None,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        outputs = (discriminator(x) for x in (real, generated))
        real_output, fake_output = map(at_least_float32, outputs)
        return self.of_outputs(
            real_output,
            fake_output,
            self.make_state(),
            real_weight,
            fake_weight,
        )

    @property
    def takes_sample_weights(self) -> bool:
        return takes(self.of_outputs, "real_weight")


@PENALTIES.register("centering", aliases=("logit_centering",))
class Centering(OutputPenalty):
    """`w E (D(x) + D(y))^2` over pairs of a real and a generated sample.

    Objectives that fix the output only up to a constant, such as
    `RelativisticLoss`, let it drift; this keeps it near 0.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        every: Rounds from one to the next.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    penalty = kmf.penalties.Centering(1.0)
    penalty.of_outputs(np.array([1.0, 3.0]), np.array([0.0]))  # (1 + 9) / 2
    ```

    Source: Karras et al. 2018, arXiv 1710.10196, whose drift term `E D(x)^2`
    has the real samples alone.
    """

    def __init__(self, weight: Any = 0.01, every: int = 1) -> None:
        super().__init__(weight, every)

    @property
    def whole_batch_part(self) -> str | None:
        return "`Centering`, with its product of two means,"

    def of_outputs(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        state: Any = None,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        real, fake = map(at_least_float32, (real_output, fake_output))
        product = mean(real, real_weight) * mean(fake, fake_weight)
        squares = mean(real**2, real_weight) + mean(fake**2, fake_weight)
        return squares + 2 * product


class AverageOutputs(keras.layers.Layer):
    """The running means of the outputs on real and on generated samples.

    In step `t`, counted from 0, `a <- d a + (1 - d) E D` with
    `d = min(decay, t / (t + 1))`: at first the plain mean of all steps.

    Args:
        decay: Float between 0 and 1.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(dtype="float32", trainable=False, name="average")
        self.decay = decay
        self.means = self.add_weight(shape=(2,), initializer="zeros")
        self.steps = self.add_weight(shape=(), initializer="zeros")
        self.built = True

    def update(self, real_mean: Tensor, fake_mean: Tensor) -> Any:
        """Returns both means after a step, without gradient.

        Args:
            real_mean: That of the outputs on the real samples of this step.
            fake_mean: That of the outputs on the generated ones.
        """
        means = (real_mean, fake_mean)
        new = replicas.mean([ops.cast(m, "float32") for m in means])
        steps = ops.convert_to_tensor(self.steps)
        decay = ops.minimum(self.decay, steps / (steps + 1.0))
        old = ops.convert_to_tensor(self.means)
        means = decay * old + (1.0 - decay) * ops.stack(new)
        means = ops.stop_gradient(means)
        self.means.assign(means)
        self.steps.assign_add(1.0)
        return means[0], means[1]


@PENALTIES.register("lecam")
class LeCam(OutputPenalty):
    """`w [E max(0, D(x) - a_fake)^2 + E max(0, a_real - D(y))^2]`.

    `a` are running means of the outputs on real and generated samples. Outputs
    are kept from running away from each other, which helps where data are
    few. A model saves the means and goes on with them.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        decay: Float between 0 and 1, that of the means.
        every: Rounds from one to the next; the means change in these alone.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    penalty = kmf.penalties.LeCam(1.0)
    penalty.of_outputs(np.array([2.0]), np.array([1.0]))  # 1 + 1
    ```

    Source: Tseng et al. 2021, arXiv 2104.03310, eq. 5, and the authors' code.
    """

    def __init__(
        self, weight: Any = 0.3, decay: float = 0.99, every: int = 1
    ) -> None:
        super().__init__(weight, every)
        self.decay = check_number("decay of LeCam", decay, above=0, below=1)

    def make_state(self) -> keras.layers.Layer:
        return AverageOutputs(self.decay)

    def of_outputs(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        state: Any = None,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        real, fake = map(at_least_float32, (real_output, fake_output))
        state = self.make_state() if state is None else state
        average_real, average_fake = (
            ops.cast(a, real.dtype)
            for a in state.update(
                mean(real, real_weight), mean(fake, fake_weight)
            )
        )
        above = mean(ops.relu(real - average_fake) ** 2, real_weight)
        below = mean(ops.relu(average_real - fake) ** 2, fake_weight)
        return above + below

    def get_config(self) -> Config:
        return {**super().get_config(), "decay": self.decay}
