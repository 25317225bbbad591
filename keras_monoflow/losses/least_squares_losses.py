"""Least squares, of labels (LSGAN) and of the ratio (uLSIF, b-GAN)."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_monoflow import mappings
from keras_monoflow.losses.density_ratio_loss import (
    DensityRatioLoss,
    check_margin,
)
from keras_monoflow.numerics import (
    at_least_float32,
    continue_linearly,
    expm1_ratio,
    mean,
)
from keras_monoflow.registry import OBJECTIVES
from keras_monoflow.typing import Config, Tensor


@OBJECTIVES.register("least_squares", aliases=("lsgan",))
class LeastSquaresLoss(DensityRatioLoss):
    """`E_p (d - 1)^2 / 2 + E_q d^2 / 2`, LSGAN with labels 1 and 0.

    `log_ratio(d) = logit(d)` for `0 < d < 1`; networks leave this interval
    often, and the link goes on as its tangent there. With the mapping
    `LeastSquares` the potential is LSGAN's `-(d - 1)^2` everywhere.

    Args:
        margin: Distance from 0 and 1 at which the tangent takes over.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.

    Source: Mao et al. 2017, arXiv 1611.04076.
    """

    def __init__(
        self, margin: float = 0.02, name: str | None = "least_squares"
    ) -> None:
        super().__init__(name=name)
        self.margin = check_margin(margin, "LeastSquaresLoss")

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


@OBJECTIVES.register("least_squares_ratio", aliases=("ulsif", "b_gan"))
class LeastSquaresRatioLoss(DensityRatioLoss):
    """`-E_p d + E_q d^2 / 2`, least-squares fit of the ratio (uLSIF, b-GAN).

    Its minimizer is the ratio itself: `log_ratio(d) = log d` for `d > 0`, and
    the tangent below `margin`. With the mapping `Alpha(a)` the potential
    is b-GAN's `(d^a - 1) / a`, again with its tangent below `margin`.

    Args:
        margin: Distance from 0 at which the tangent takes over.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.

    Source: Uehara et al. 2016, arXiv 1610.02920.
    """

    def __init__(
        self, margin: float = 0.02, name: str | None = "least_squares_ratio"
    ) -> None:
        super().__init__(name=name)
        self.margin = check_margin(margin, "LeastSquaresRatioLoss")

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
