"""The critic's objective of the Wasserstein-1 distance."""

import keras

from keras_monoflow.losses.loss_of_outputs import LossOfOutputs
from keras_monoflow.numerics import mean
from keras_monoflow.typing import Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class WassersteinLoss(LossOfOutputs):
    """`E_q d - E_p d`, minus the Kantorovich dual of W1(p, q).

    Over all 1-Lipschitz `d` its minimum is `-W1(p, q)`, and a minimizer is
    minus a Kantorovich potential. It estimates no density ratio, so it has no
    `log_ratio`. The Lipschitz bound must come from elsewhere: a penalty, weight
    clipping or spectral normalization.

    Called as `loss(real_output, fake_output)` with outputs of shape `(batch,)`
    or `(batch, 1)`. Computed in at least float32.

    Source: Arjovsky et al. 2017, arXiv 1701.07875, eq. 2.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    loss = kmf.losses.WassersteinLoss()
    loss(np.array([1.0, 3.0]), np.array([0.0]))  # 0 - 2
    ```
    """

    def __init__(self, name: str | None = "wasserstein") -> None:
        super().__init__(name=name)

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        fake = mean(fake_output, fake_weight)
        return fake - mean(real_output, real_weight)
