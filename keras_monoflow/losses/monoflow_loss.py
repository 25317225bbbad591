"""The generator's loss of every MonoFlow."""

from typing import Any

import keras

from keras_monoflow import mappings
from keras_monoflow.losses.lookup import get
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class MonoFlowLoss(keras.losses.Loss):
    """`-E_q h(log_ratio(d))`: the generator climbs the potential `h(u)`.

    Its gradient moves every generated sample along `h'(u) grad u` (MonoFlow,
    arXiv 2302.01075). The link `log_ratio` is that of the objective
    which trained the discriminator, so that every mapping combines
    with every objective.

    Called as `loss(real_output, fake_output)`. The real output is ignored and
    may be `None`, but for the mapping `"relativistic"`.

    Args:
        mapping: A mapping, its name, or a strictly increasing function.
        discriminator_loss: The `DensityRatioLoss` of the discriminator, or its
            name; `"matched"` is the mapping's own objective.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    loss = kmf.losses.MonoFlowLoss("non_saturating", "logistic")
    loss(None, np.array([0.0, 1.0]))  # mean of softplus(-d)
    ```
    """

    def __init__(
        self,
        mapping: Any,
        discriminator_loss: Any = "logistic",
        name: str | None = "monoflow",
    ) -> None:
        super().__init__(name=name)
        self.mapping = mappings.get(mapping)
        self.discriminator_loss = get(discriminator_loss, self.mapping)

    def __call__(self, real_output: Tensor, fake_output: Tensor) -> Tensor:
        return self.call(real_output, at_least_float32(fake_output))

    def call(self, real_output: Tensor, fake_output: Tensor) -> Tensor:
        objective, mapping = self.discriminator_loss, self.mapping
        if mapping.needs_real and real_output is not None:
            mapping = mapping.given(
                objective.log_ratio(real_output, fake_output)
            )
        return -mean(objective.potential(mapping, fake_output))

    def get_config(self) -> Config:
        return {
            "name": self.name,
            "mapping": mappings.serialize(self.mapping),
            "discriminator_loss": keras.saving.serialize_keras_object(
                self.discriminator_loss
            ),
        }
