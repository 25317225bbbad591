"""The bound of Donsker and Varadhan on the Kullback-Leibler divergence."""

from keras import ops

from keras_monoflow.losses.density_ratio_loss import DensityRatioLoss
from keras_monoflow.numerics import at_least_float32, mean, weigh_rows
from keras_monoflow.registry import OBJECTIVES
from keras_monoflow.typing import Tensor


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
    if weight is not None:
        # (Rows without a weight may be far above all others.)
        x = ops.where(weigh_rows(ops.ones_like(x), weight) > 0, x, ops.min(x))
    maximum = ops.stop_gradient(ops.max(x))
    return maximum + ops.log(mean(ops.exp(x - maximum), weight))
