"""Discriminator objectives whose minimizer determines the density ratio."""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_monoflow import mappings
from keras_monoflow.arguments import check_number
from keras_monoflow.losses.loss_of_outputs import LossOfOutputs
from keras_monoflow.numerics import (
    at_least_float32,
    continue_linearly,
    expm1_ratio,
    mean,
)
from keras_monoflow.registry import OBJECTIVES
from keras_monoflow.typing import Config, Tensor


class DensityRatioLoss(LossOfOutputs):
    """Base of the objectives that estimate `u = log(p_data / p_gen)`.

    A subclass defines `call(real_output, fake_output)`, a scalar, and
    `log_ratio(output)`, the inverse link from discriminator output to `u`.

    Called as `loss(real_output, fake_output)` with outputs of shape `(batch,)`
    or `(batch, 1)`; the batches may differ in size. Computed in float32, or in
    the float64 of its inputs, whatever the dtype policy.
    """

    #: Whether the objective and its link need the outputs of a whole batch at
    #: once, and are not means over its parts.
    uses_whole_batch = False

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        """Returns the estimate of `log(p_data / p_gen)`.

        Args:
            output: Discriminator output, of any shape.
            fake_output: Discriminator output on generated samples, for the
                objectives with `uses_whole_batch`; by default `output` is taken
                for it.

        Returns:
            A tensor of the shape of `output`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `log_ratio(self, output)`."
        )

    def potential(
        self, mapping: Any, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        """Returns `h(log_ratio(output))`, which samples climb.

        Where a paper states this composite in closed form, a subclass uses
        that form, which holds outside of the link's domain as well.
        """
        return mapping(self.log_ratio(output, fake_output))


def _margin(value: Any, owner: str) -> float:
    return check_number(f"margin of {owner}", value, above=0, below=0.5)


@OBJECTIVES.register("logistic", aliases=("binary_crossentropy",))
class LogisticLoss(DensityRatioLoss):
    """`E_p softplus(-d) + E_q softplus(d)`, binary cross-entropy on logits.

    `log_ratio(d) = d`. With one-sided label smoothing `e`, the data have the
    label `1 - e`, the minimizer shifts, and so does the link:
    `log_ratio(d) = d - log(1 - e - e exp(d))`. It is defined for
    `d < log((1 - e) / e)` and goes on as its tangent beyond.

    Args:
        label_smoothing: Float `e` in `[0, 0.5)`.
        margin: Distance from the end of the domain, in units of `d`, at which
            the tangent takes over.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        margin: float = 0.02,
        name: str | None = "logistic",
    ) -> None:
        super().__init__(name=name)
        self.label_smoothing = check_number(
            "label_smoothing of LogisticLoss",
            label_smoothing,
            minimum=0,
            below=0.5,
        )
        self.margin = _margin(margin, "LogisticLoss")

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        smoothing = self.label_smoothing
        real = (1.0 - smoothing) * ops.softplus(-real_output)
        if smoothing:
            real = real + smoothing * ops.softplus(real_output)
        fake = ops.softplus(fake_output)
        return mean(real, real_weight) + mean(fake, fake_weight)

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        output = at_least_float32(output)
        e = self.label_smoothing
        if not e:
            return output
        return continue_linearly(
            lambda d: d - ops.log(1.0 - e - e * ops.exp(d)),
            lambda end: (1.0 - e) / (1.0 - e - e * math.exp(end)),
            output,
            upper=math.log((1.0 - e) / e) - self.margin,
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "margin": self.margin,
        }


@OBJECTIVES.register("least_squares", aliases=("lsgan",))
class LeastSquaresLoss(DensityRatioLoss):
    """`E_p (d - 1)^2 / 2 + E_q d^2 / 2`, LSGAN with labels 1 and 0.

    `log_ratio(d) = logit(d)` for `0 < d < 1`; networks leave this interval
    often, and the link goes on as its tangent there. With the mapping
    `LeastSquares` the potential is LSGAN's `-(d - 1)^2` everywhere.

    Args:
        margin: Distance from 0 and 1 at which the tangent takes over.

    Source: Mao et al. 2017, arXiv 1611.04076.
    """

    def __init__(
        self, margin: float = 0.02, name: str | None = "least_squares"
    ) -> None:
        super().__init__(name=name)
        self.margin = _margin(margin, "LeastSquaresLoss")

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        real = mean((real_output - 1.0) ** 2, real_weight)
        return (real + mean(fake_output**2, fake_weight)) / 2

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        return continue_linearly(
            lambda d: ops.log(d) - ops.log1p(-d),
            lambda end: 1.0 / (end * (1.0 - end)),
            at_least_float32(output),
            lower=self.margin,
            upper=1.0 - self.margin,
        )

    def potential(
        self, mapping: Any, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        if isinstance(mapping, mappings.LeastSquares):
            return -((at_least_float32(output) - 1.0) ** 2)
        return super().potential(mapping, output, fake_output)

    def get_config(self) -> Config:
        return {**super().get_config(), "margin": self.margin}


@OBJECTIVES.register("exponential", aliases=("boosting",))
class ExponentialLoss(DensityRatioLoss):
    """`E_p exp(-d) + E_q exp(d)`, the objective of boosting.

    `log_ratio(d) = 2 d`. It overflows float32 for `|d| > 88`.
    """

    def __init__(self, name: str | None = "exponential") -> None:
        super().__init__(name=name)

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        real, fake = ops.exp(-real_output), ops.exp(fake_output)
        return mean(real, real_weight) + mean(fake, fake_weight)

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        return 2.0 * at_least_float32(output)


@OBJECTIVES.register("donsker_varadhan", aliases=("kliep",))
class DonskerVaradhanLoss(DensityRatioLoss):
    """`-E_p d + log E_q exp(d)`, the Donsker-Varadhan bound on -KL(p || q).

    The objective, which KLIEP shares, fixes `d` up to a constant. Since
    `E_q r = 1`, `log_ratio(d) = d - log E_q exp(d)`, with no gradient through
    the constant; without it the constant would act as a shift of the mapping.
    """

    uses_whole_batch = True

    def __init__(self, name: str | None = "donsker_varadhan") -> None:
        super().__init__(name=name)

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        real = mean(real_output, real_weight)
        return _log_mean_exp(fake_output, fake_weight) - real

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        """See `DensityRatioLoss.log_ratio`.

        Without `fake_output`, `output` itself is taken to be the output on
        generated samples.
        """
        output = at_least_float32(output)
        fake = output if fake_output is None else at_least_float32(fake_output)
        return output - ops.stop_gradient(_log_mean_exp(fake))


def _log_mean_exp(x: Tensor, weight: Tensor | None = None) -> Tensor:
    maximum = ops.stop_gradient(ops.max(x))
    return maximum + ops.log(mean(ops.exp(x - maximum), weight))


@OBJECTIVES.register("least_squares_ratio", aliases=("ulsif", "b_gan"))
class LeastSquaresRatioLoss(DensityRatioLoss):
    """`-E_p d + E_q d^2 / 2`, least-squares fit of the ratio (uLSIF, b-GAN).

    Its minimizer is the ratio itself: `log_ratio(d) = log d` for `d > 0`, and
    the tangent below `margin`. With the mapping `Alpha(a)` the potential
    is b-GAN's `(d^a - 1) / a`, again with its tangent below `margin`.

    Args:
        margin: Distance from 0 at which the tangent takes over.

    Source: Uehara et al. 2016, arXiv 1610.02920.
    """

    def __init__(
        self, margin: float = 0.02, name: str | None = "least_squares_ratio"
    ) -> None:
        super().__init__(name=name)
        self.margin = _margin(margin, "LeastSquaresRatioLoss")

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        fake = mean(fake_output**2, fake_weight) / 2
        return fake - mean(real_output, real_weight)

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        ratio = self.ratio(output, fake_output)
        return self._above_margin(ops.log, lambda end: 1.0 / end, ratio)

    def ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        """Returns `p/q`, which is not always positive for a real network."""
        return at_least_float32(output)

    def potential(
        self, mapping: Any, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        if not isinstance(mapping, mappings.Alpha):
            return super().potential(mapping, output, fake_output)
        a = mapping.alpha
        return self._above_margin(
            lambda d: expm1_ratio(a, ops.log(d)),
            lambda end: end ** (a - 1.0),
            self.ratio(output, fake_output),
        )

    def _above_margin(
        self,
        fn: Callable[[Tensor], Tensor],
        slope: Callable[[float], float],
        ratio: Tensor,
    ) -> Tensor:
        return continue_linearly(fn, slope, ratio, lower=self.margin)

    def get_config(self) -> Config:
        return {**super().get_config(), "margin": self.margin}


@OBJECTIVES.register()
class MatchedLoss(DensityRatioLoss):
    """`E_q h(d) - E_p g(d)`, a mapping's own objective, with its dual `g`.

    The minimizer is `d = log(p/q)` for every strictly increasing `h`, because
    `g'(u) = exp(-u) h'(u)`. It is the variational form of the divergence
    whose flow the mapping is (Nowozin et al. 2016, arXiv 1606.00709).

    Args:
        mapping: A mapping or its name; it must have a dual.

    Raises:
        ValueError: If the mapping has no dual.
    """

    def __init__(self, mapping: Any, name: str | None = "matched") -> None:
        super().__init__(name=name)
        self.mapping = mappings.get(mapping)
        if self.mapping.dual is None:
            known = [
                k for k in mappings.NAMED if mappings.get(k).dual is not None
            ]
            raise ValueError(
                "`mapping` of MatchedLoss must have a dual g with "
                f"g'(u) = exp(-u) h'(u), which {self.mapping!r} has not. "
                "Use another discriminator objective, such as 'logistic', or "
                f"one of the mappings {', '.join(known)}."
            )

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        fake = mean(self.mapping(fake_output), fake_weight)
        return fake - mean(self.mapping.dual(real_output), real_weight)

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        return at_least_float32(output)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "mapping": mappings.serialize(self.mapping),
        }
