"""Penalties on the discriminator's gradient with respect to its input."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.backend import replicas
from keras_monoflow.gradients import input_gradient
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.penalties.weighted_term import WeightedTerm
from keras_monoflow.registry import PENALTIES
from keras_monoflow.typing import Config, RandomFunction, Seed, Tensor

HALF = ("float16", "bfloat16")


class Penalty(WeightedTerm):
    """Base of the gradient penalties `weight * E cost(|grad D(x)|)`.

    A subclass says at which `points` the gradient is taken and what `cost` a
    sample has.
    """

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        """Returns the batch at which the gradient is penalized."""
        raise NotImplementedError

    def cost(self, squared_norm: Tensor) -> Tensor:
        """Returns the cost `(batch,)` of squared gradient norms `(batch,)`."""
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
        x = self.points(
            at_least_float32(real), at_least_float32(generated), seed
        )
        cost = self.cost(self.squared_norm(discriminator, x, seed))
        return mean(cost, self.point_weight(real_weight, fake_weight))

    def point_weight(
        self, real_weight: Tensor | None, fake_weight: Tensor | None
    ) -> Tensor | None:
        """Returns the weights of the points: those of the real samples."""
        return real_weight

    def squared_norm(
        self, discriminator: Callable[[Tensor], Tensor], x: Tensor, seed: Seed
    ) -> Tensor:
        """Returns `|grad D(x)|^2`, `(batch,)`."""
        gradient = input_gradient(
            lambda x: ops.cast(discriminator(x), x.dtype), x
        )
        axes = tuple(range(1, len(x.shape)))
        return ops.sum(gradient**2, axis=axes)


def _norm(squared_norm: Tensor) -> Tensor:
    """Square root with the gradient 0, not NaN, where the norm is 0."""
    positive = squared_norm > 0
    root = ops.sqrt(ops.where(positive, squared_norm, 1.0))
    return ops.where(positive, root, 0.0)


def _one_each(x: Tensor, draw: RandomFunction, seed: Seed) -> Tensor:
    """Draws one number for each sample, shaped to broadcast against `x`."""
    shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
    return replicas.draw(draw, shape, x.dtype, seed)


class _Interpolated(Penalty):
    """At `t x + (1 - t) y`, `t` uniform, between data and generated samples."""

    def times(self, x: Tensor, seed: Seed) -> Tensor:
        """Draws `t`, one for each sample."""
        return _one_each(x, keras.random.uniform, seed)

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        t = self.times(real, seed)
        return t * real + (1.0 - t) * generated


@PENALTIES.register("gradient_penalty", aliases=("wgan_gp",))
class GradientPenalty(_Interpolated):
    """`w E (|grad D| - 1)^2` between data and samples (WGAN-GP).

    Two-sided: it also pulls up gradients that are shorter than 1.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        every: Rounds from one to the next.

    Source: Gulrajani et al. 2017, arXiv 1704.00028, eq. 3.
    """

    def __init__(self, weight: Any = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def cost(self, squared_norm: Tensor) -> Tensor:
        return (_norm(squared_norm) - 1.0) ** 2


@PENALTIES.register("lipschitz", aliases=("lipschitz_penalty", "wgan_lp"))
class LipschitzPenalty(_Interpolated):
    """`w E max(0, |grad D| - 1)^2` between data and samples (WGAN-LP).

    One-sided: it only asks for a Lipschitz constant of at most 1.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        every: Rounds from one to the next.

    Source: Petzka et al. 2018, arXiv 1709.08894, eq. 8.
    """

    def __init__(self, weight: Any = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def cost(self, squared_norm: Tensor) -> Tensor:
        return ops.relu(_norm(squared_norm) - 1.0) ** 2


@PENALTIES.register("r1")
class R1(Penalty):
    """`w/2 E |grad D|^2` on data.

    With `finite_difference=e` it is `w/2 E (D(x + e n) - D(x))^2 / e^2` for
    standard normal noise `n`, whose mean is `w/2 E |grad D|^2 + O(e^2)`: no
    second derivative is taken, for a noisier penalty.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        every: Rounds from one to the next.
        finite_difference: Positive float `e` in units of the data, for example
            0.01, or `None` for the gradient itself.

    Raises:
        TypeError, ValueError: If an argument is out of range, or, when called,
            if the discriminator's output has half precision, in which small
            differences are lost.

    Source: Mescheder et al. 2018, arXiv 1801.04406, eq. 9; arXiv 2511.22475 for
    finite differences.
    """

    def __init__(
        self,
        weight: Any = 10.0,
        every: int = 1,
        finite_difference: float | None = None,
    ) -> None:
        super().__init__(weight, every)
        if finite_difference is not None:
            finite_difference = check_number(
                f"finite_difference of {type(self).__name__}",
                finite_difference,
                above=0,
            )
        self.finite_difference = finite_difference

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        return real

    def cost(self, squared_norm: Tensor) -> Tensor:
        return squared_norm / 2

    def squared_norm(
        self, discriminator: Callable[[Tensor], Tensor], x: Tensor, seed: Seed
    ) -> Tensor:
        if self.finite_difference is None:
            return super().squared_norm(discriminator, x, seed)
        noise = replicas.draw(keras.random.normal, ops.shape(x), x.dtype, seed)
        here = discriminator(x)
        self.check_outputs([here])
        there = discriminator(x + self.finite_difference * noise)
        slope = ops.cast(there - here, x.dtype) / self.finite_difference
        return ops.reshape(slope, (-1,)) ** 2

    def check_outputs(self, outputs: list[Tensor]) -> None:
        dtypes = {keras.backend.standardize_dtype(x.dtype) for x in outputs}
        if self.finite_difference is not None and dtypes & set(HALF):
            raise ValueError(
                f"`finite_difference` of {type(self).__name__} needs outputs "
                "of the discriminator in float32: in half precision their "
                "differences are lost. Make its last layers with "
                "dtype='float32', or leave out `finite_difference`."
            )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "finite_difference": self.finite_difference,
        }


@PENALTIES.register("r2")
class R2(R1):
    """`w/2 E |grad D|^2` on generated samples.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        every: Rounds from one to the next.
        finite_difference: As for `R1`.

    Source: Mescheder et al. 2018, arXiv 1801.04406, eq. 10.
    """

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        return generated

    def point_weight(
        self, real_weight: Tensor | None, fake_weight: Tensor | None
    ) -> Tensor | None:
        return fake_weight


@PENALTIES.register("dragan")
class DRAGAN(GradientPenalty):
    """`w E (|grad D| - 1)^2` around the data.

    At `x + t delta`, with `t` uniform on `[0, 1]` for each sample and
    `delta = scale * std(x) * U[0, 1]` in each component, `std` over the batch.

    Args:
        weight: Positive float `w`, or a schedule of the round.
        scale: Positive float, the size of the neighborhood in standard
            deviations of the data.
        every: Rounds from one to the next.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.

    Source: Kodali et al. 2017, arXiv 1705.07215, and the authors' code.
    """

    def __init__(
        self, weight: Any = 10.0, scale: float = 0.5, every: int = 1
    ) -> None:
        super().__init__(weight, every)
        self.scale = check_number("scale of DRAGAN", scale, above=0)

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        # A number as seed would draw the same again for `times`.
        noise_seed = seed + 1 if isinstance(seed, int) else seed
        noise = replicas.draw(
            keras.random.uniform, ops.shape(real), real.dtype, noise_seed
        )
        perturbed = real + self.scale * replicas.std(real) * noise
        return super().points(perturbed, real, seed)

    def get_config(self) -> Config:
        return {**super().get_config(), "scale": self.scale}
