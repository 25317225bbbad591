"""Penalties on the discriminator's gradient with respect to its input."""

import math

import keras
from keras import ops

from keras_monoflow.backend import replicas
from keras_monoflow.gradients import input_gradient
from keras_monoflow.numerics import at_least_float32, mean

register = keras.saving.register_keras_serializable("keras_monoflow")


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

    def __init__(self, weight):
        if not (weight > 0 and math.isfinite(weight)):
            raise ValueError(
                f"`weight` of {type(self).__name__} must be a positive finite "
                f"number. Received: weight={weight!r}. For no penalty, pass "
                "`penalty=None`."
            )
        self.weight = float(weight)

    def points(self, real, generated, seed):
        """Returns the batch at which the gradient is penalised."""
        raise NotImplementedError

    def cost(self, squared_norm):
        """Returns the cost `(batch,)` of squared gradient norms `(batch,)`."""
        raise NotImplementedError

    def __call__(self, discriminator, real, generated, seed=None):
        x = self.points(
            at_least_float32(real), at_least_float32(generated), seed
        )
        gradient = input_gradient(
            lambda x: ops.cast(discriminator(x), x.dtype), x
        )
        axes = tuple(range(1, len(x.shape)))
        squared_norm = ops.sum(gradient**2, axis=axes)
        return self.weight * mean(self.cost(squared_norm))

    def get_config(self):
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _norm(squared_norm):
    """Square root with the gradient 0, not NaN, where the norm is 0."""
    positive = squared_norm > 0
    root = ops.sqrt(ops.where(positive, squared_norm, 1.0))
    return ops.where(positive, root, 0.0)


def _one_each(x, draw, seed):
    """Draws one number for each sample, shaped to broadcast against `x`."""
    shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
    return replicas.draw(draw, shape, x.dtype, seed)


class _Interpolated(Penalty):
    """At `t x + (1 - t) y`, `t` uniform, between data and generated samples."""

    def times(self, x, seed):
        """Draws `t`, one for each sample."""
        return _one_each(x, keras.random.uniform, seed)

    def points(self, real, generated, seed):
        t = self.times(real, seed)
        return t * real + (1.0 - t) * generated


@register
class GradientPenalty(_Interpolated):
    """`w E (|grad D| - 1)^2` between data and samples (WGAN-GP).

    Two-sided: it also pulls up gradients that are shorter than 1.

    Args:
        weight: Positive float `w`.

    Source: Gulrajani et al. 2017, arXiv 1704.00028, eq. 3.
    """

    def __init__(self, weight=10.0):
        super().__init__(weight)

    def cost(self, squared_norm):
        return (_norm(squared_norm) - 1.0) ** 2


@register
class LipschitzPenalty(_Interpolated):
    """`w E max(0, |grad D| - 1)^2` between data and samples (WGAN-LP).

    One-sided: it only asks for a Lipschitz constant of at most 1.

    Args:
        weight: Positive float `w`.

    Source: Petzka et al. 2018, arXiv 1709.08894, eq. 8.
    """

    def __init__(self, weight=10.0):
        super().__init__(weight)

    def cost(self, squared_norm):
        return ops.relu(_norm(squared_norm) - 1.0) ** 2


@register
class R1(Penalty):
    """`w/2 E |grad D|^2` on data.

    Args:
        weight: Positive float `w`.

    Source: Mescheder et al. 2018, arXiv 1801.04406, eq. 9.
    """

    def __init__(self, weight=10.0):
        super().__init__(weight)

    def points(self, real, generated, seed):
        return real

    def cost(self, squared_norm):
        return squared_norm / 2


@register
class R2(R1):
    """`w/2 E |grad D|^2` on generated samples.

    Args:
        weight: Positive float `w`.

    Source: Mescheder et al. 2018, arXiv 1801.04406, eq. 10.
    """

    def points(self, real, generated, seed):
        return generated


@register
class DRAGAN(GradientPenalty):
    """`w E (|grad D| - 1)^2` around the data.

    At `x + t delta`, with `t` uniform on `[0, 1]` for each sample and
    `delta = scale * std(x) * U[0, 1]` in each component, `std` over the batch.

    Args:
        weight: Positive float `w`.
        scale: Positive float, the size of the neighbourhood in standard
            deviations of the data.

    Source: Kodali et al. 2017, arXiv 1705.07215, and the authors' code.
    """

    def __init__(self, weight=10.0, scale=0.5):
        super().__init__(weight)
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(
                "`scale` of DRAGAN must be a positive finite number. "
                f"Received: scale={scale!r}."
            )
        self.scale = float(scale)

    def points(self, real, generated, seed):
        # A number as seed would draw the same again for `times`.
        noise_seed = seed + 1 if isinstance(seed, int) else seed
        noise = replicas.draw(
            keras.random.uniform, ops.shape(real), real.dtype, noise_seed
        )
        perturbed = real + self.scale * replicas.std(real) * noise
        return super().points(perturbed, real, seed)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def get(penalty):
    """Returns a list of penalties from one, a list, or `None`.

    Raises:
        TypeError: If an entry is not a `Penalty`.
    """
    if penalty is None:
        return []
    entries = penalty if isinstance(penalty, (list, tuple)) else [penalty]
    for entry in entries:
        if not isinstance(entry, Penalty):
            raise TypeError(
                "`penalty` must be a `keras_monoflow.penalties.Penalty`, a "
                "list of them, or None, for example penalties.R1(10.0). "
                f"Received: penalty={penalty!r}."
            )
    return list(entries)
