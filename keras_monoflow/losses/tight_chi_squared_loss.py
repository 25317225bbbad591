"""The least-squares ratio with its constant profiled out."""

from keras import ops

from keras_monoflow.losses.least_squares_losses import LeastSquaresRatioLoss
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.registry import OBJECTIVES
from keras_monoflow.typing import Tensor


@OBJECTIVES.register("chi2_tight", aliases=("tight_chi_squared",))
class TightChiSquaredLoss(LeastSquaresRatioLoss):
    """`Var_q(d) / 2 - E_p d + E_q d`, which fits the ratio up to a constant.

    Up to the constant 1/2 it is `LeastSquaresRatioLoss` of `d + c` at the best
    constant, `c = 1 - E_q d`: its minimizers are all `d = p/q + const`, and
    minus twice its minimum is the chi-squared divergence. Since the mean of the
    ratio is 1, `log_ratio(d) = log(1 + d - E_q d)`, with its tangent below
    `margin` and no gradient through the mean.

    Args:
        margin: Distance of the ratio from 0 at which the tangent takes over.

    Source: Ruderman et al. 2012, arXiv 1206.4664, for tight bounds.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    loss = kmf.losses.TightChiSquaredLoss()
    loss(np.array([3.0]), np.array([1.0, -1.0]))  # 1 / 2 - 3 + 0
    ```
    """

    uses_whole_batch = True

    def __init__(
        self, margin: float = 0.02, name: str | None = "chi2_tight"
    ) -> None:
        super().__init__(margin, name)

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        center = mean(fake_output, fake_weight)
        variance = mean((fake_output - center) ** 2, fake_weight)
        return variance / 2 - mean(real_output, real_weight) + center

    def ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        """Returns `1 + d - E_q d`.

        Without `fake_output`, `output` itself is taken to be the output on
        generated samples.
        """
        output = at_least_float32(output)
        fake = output if fake_output is None else at_least_float32(fake_output)
        return 1.0 + output - ops.stop_gradient(mean(fake))
