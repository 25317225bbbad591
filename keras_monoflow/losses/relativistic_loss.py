"""The objective of relativistic pairing."""

from typing import Any

from keras import ops

from keras_monoflow.losses.donsker_varadhan_loss import DonskerVaradhanLoss
from keras_monoflow.numerics import mean
from keras_monoflow.registry import OBJECTIVES, lookup
from keras_monoflow.typing import Config, Tensor

PAIRS = ("all", "rows")


@OBJECTIVES.register("relativistic", aliases=("rpgan", "r3gan"))
class RelativisticLoss(DonskerVaradhanLoss):
    """`E softplus(-(d(x) - d(y)))` over pairs of real `x` and generated `y`.

    The likelihood of a Bradley-Terry model that tells which of two samples is
    real. Its minimizer is `d = log(p/q) + const`: for `d = log(p/q) + f(x)` the
    odds `p(x) q(y) : q(x) p(y)` that `x` is the real one are met for every pair
    only if `f` is constant. As for `DonskerVaradhanLoss`,
    `log_ratio(d) = d - log E_q exp(d)`, with no gradient through the constant.

    Args:
        pairs: `"all"` pairs of the two batches, or `"rows"`: the first real
            sample with the first generated one, and so on, as in the authors'
            code. The mean is the same, with more noise. The weight of such
            a pair is that of its real sample or, where only those have
            weights, of its generated one.

    Raises:
        TypeError, ValueError: If `pairs` is something else, or, when called
            with `"rows"`, the batches differ in size.

    Source: Jolicoeur-Martineau 2018, arXiv 1807.00734, for pairing; Huang et
    al. 2024 (R3GAN), arXiv 2501.05441, eq. 2.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    loss = kmf.losses.RelativisticLoss()
    loss(np.array([2.0, 0.0]), np.array([0.0]))  # (0.127 + 0.693) / 2
    ```
    """

    def __init__(
        self, pairs: str = "all", name: str | None = "relativistic"
    ) -> None:
        super().__init__(name=name)
        self.pairs = lookup(pairs, dict(zip(PAIRS, PAIRS)), "pairs")

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        real = ops.reshape(real_output, (-1,))
        fake = ops.reshape(fake_output, (-1,))
        if self.pairs == "all":
            costs = ops.softplus(fake[None] - real[:, None])
            if fake_weight is not None:
                costs = costs * ops.reshape(fake_weight, (1, -1))
            return mean(costs, real_weight)
        sizes = real.shape[0], fake.shape[0]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ValueError(
                "RelativisticLoss(pairs='rows') pairs the rows of two batches "
                f"of one size. Received: {sizes[0]} real and {sizes[1]} "
                "generated samples. Take pairs='all'."
            )
        # (A pair is one draw, so it has one weight.)
        weight = fake_weight if real_weight is None else real_weight
        return mean(ops.softplus(fake - real), weight)

    def get_config(self) -> Config:
        config: dict[str, Any] = super().get_config()
        return {**config, "pairs": self.pairs}
