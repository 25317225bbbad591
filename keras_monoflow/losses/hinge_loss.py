"""The hinge loss, which estimates no density ratio."""

import keras
from keras import ops

from keras_monoflow.losses.loss_of_outputs import LossOfOutputs
from keras_monoflow.numerics import mean
from keras_monoflow.typing import Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class HingeLoss(LossOfOutputs):
    """`E_p max(0, 1 - d) + E_q max(0, 1 + d)`.

    Its minimizer is `sign(log(p/q))`: it says where there are more data than
    samples, and not how many more. So it estimates no density ratio, has no
    `log_ratio`, and takes no mapping but the identity: samples climb `d`
    itself, as in SAGAN and BigGAN. Take `LogisticLoss` where you have a choice.

    Called as `loss(real_output, fake_output)` with outputs of shape `(batch,)`
    or `(batch, 1)`. Computed in at least float32.

    Source: Lim and Ye 2017, arXiv 1705.02894, eq. 12.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    loss = kmf.losses.HingeLoss()
    loss(np.array([0.5, 2.0]), np.array([-2.0]))  # (0.5 + 0) / 2 + 0
    ```
    """

    def __init__(self, name: str | None = "hinge") -> None:
        super().__init__(name=name)

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        real = mean(ops.relu(1.0 - real_output), real_weight)
        return real + mean(ops.relu(1.0 + fake_output), fake_weight)
