"""Penalties on the discriminator's gradient with respect to its input."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.backend import replicas
from keras_monoflow.gradients import input_gradient
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.registry import PENALTIES
from keras_monoflow.typing import Config, RandomFunction, Seed, Tensor


class Penalty:
    """Base of the gradient penalties `weight * E cost(|grad D(x)|)`.

    A subclass says at which `points` the gradient is taken and what `cost` a
    sample has.

    Called as `penalty(discriminator, real, generated, seed)`: a function of a
    batch that returns `(batch,)` or `(batch, 1)`, two batches of equal shape,
    and a seed or `keras.random.SeedGenerator`. Returns a float32 scalar.

    Args:
        weight: Positive float.
    """

    def __init__(self, weight: float) -> None:
        self.weight = check_number(
            f"weight of {type(self).__name__}",
            weight,
            above=0,
            hint="For no penalty, pass `penalty=None`.",
        )

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        """Returns the batch at which the gradient is penalized."""
        raise NotImplementedError

    def cost(self, squared_norm: Tensor) -> Tensor:
        """Returns the cost `(batch,)` of squared gradient norms `(batch,)`."""
        raise NotImplementedError

    def __call__(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Tensor,
        generated: Tensor,
        seed: Seed = None,
    ) -> Tensor:
        x = self.points(
            at_least_float32(real), at_least_float32(generated), seed
        )
        gradient = input_gradient(
            lambda x: ops.cast(discriminator(x), x.dtype), x
        )
        axes = tuple(range(1, len(x.shape)))
        squared_norm = ops.sum(gradient**2, axis=axes)
        return self.weight * mean(self.cost(squared_norm))

    def get_config(self) -> Config:
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config: Config) -> Any:
        return cls(**config)


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
        weight: Positive float `w`.

    Source: Gulrajani et al. 2017, arXiv 1704.00028, eq. 3.
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def cost(self, squared_norm: Tensor) -> Tensor:
        return (_norm(squared_norm) - 1.0) ** 2


@PENALTIES.register("lipschitz", aliases=("lipschitz_penalty", "wgan_lp"))
class LipschitzPenalty(_Interpolated):
    """`w E max(0, |grad D| - 1)^2` between data and samples (WGAN-LP).

    One-sided: it only asks for a Lipschitz constant of at most 1.

    Args:
        weight: Positive float `w`.

    Source: Petzka et al. 2018, arXiv 1709.08894, eq. 8.
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def cost(self, squared_norm: Tensor) -> Tensor:
        return ops.relu(_norm(squared_norm) - 1.0) ** 2


@PENALTIES.register("r1")
class R1(Penalty):
    """`w/2 E |grad D|^2` on data.

    Args:
        weight: Positive float `w`.

    Source: Mescheder et al. 2018, arXiv 1801.04406, eq. 9.
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        return real

    def cost(self, squared_norm: Tensor) -> Tensor:
        return squared_norm / 2


@PENALTIES.register("r2")
class R2(R1):
    """`w/2 E |grad D|^2` on generated samples.

    Args:
        weight: Positive float `w`.

    Source: Mescheder et al. 2018, arXiv 1801.04406, eq. 10.
    """

    def points(self, real: Tensor, generated: Tensor, seed: Seed) -> Tensor:
        return generated


@PENALTIES.register("dragan")
class DRAGAN(GradientPenalty):
    """`w E (|grad D| - 1)^2` around the data.

    At `x + t delta`, with `t` uniform on `[0, 1]` for each sample and
    `delta = scale * std(x) * U[0, 1]` in each component, `std` over the batch.

    Args:
        weight: Positive float `w`.
        scale: Positive float, the size of the neighborhood in standard
            deviations of the data.

    Source: Kodali et al. 2017, arXiv 1705.07215, and the authors' code.
    """

    def __init__(self, weight: float = 10.0, scale: float = 0.5) -> None:
        super().__init__(weight)
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


def get(penalty: Any) -> list[Penalty]:
    """Returns a list of penalties.

    Args:
        penalty: A name such as `"r1"`, a `Penalty`, its configuration, a list
            of these, or `None` for none.

    Raises:
        ValueError: If a name is unknown.
        TypeError: If an entry is none of these.
    """
    if penalty is None:
        return []
    entries = penalty if isinstance(penalty, (list, tuple)) else [penalty]
    return [_get_one(entry, penalty) for entry in entries]


def _get_one(entry: Any, penalty: Any) -> Penalty:
    if isinstance(entry, str):
        return PENALTIES.make(entry)
    if isinstance(entry, dict):
        entry = keras.saving.deserialize_keras_object(entry)
    if isinstance(entry, Penalty):
        return entry
    raise TypeError(
        "`penalty` must be a name such as 'r1', a "
        "`keras_monoflow.penalties.Penalty` such as R1(10.0), a list of them, "
        "or None. "
        f"Received: penalty={penalty!r}."
    )
