"""Objectives that are linked by a logarithm of odds: logistic, exponential."""

import math

from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.losses.density_ratio_loss import (
    DensityRatioLoss,
    check_margin,
)
from keras_monoflow.numerics import at_least_float32, continue_linearly, mean
from keras_monoflow.registry import OBJECTIVES
from keras_monoflow.typing import Config, Tensor


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

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.
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
        self.margin = check_margin(margin, "LogisticLoss")

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
