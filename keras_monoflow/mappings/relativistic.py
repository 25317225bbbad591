"""The mapping of relativistic GANs, which knows the data's log ratios."""

from typing import Any

import keras
from keras import ops

from keras_monoflow.mappings.mapping import Mapping
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class Relativistic(Mapping):
    """`h(u) = -E_x softplus(u(x) - u)`, over samples `x` of the data.

    It is the generator loss of relativistic pairing GANs: a sample climbs until
    it looks as real as samples of the data do. The slope,
    `E_x sigmoid(u(x) - u)`, lies between 0 and 1, so `h` is strictly
    increasing; it vanishes only for `u` far above that of all data. A model
    looks up `u(x)` in each round: `compile(mapping="relativistic")`.

    Args:
        real_log_ratio: The log ratios `u(x)` of samples of the data, a tensor
            of any shape through which no gradient goes; `None` if a model
            gives them, or `given` does.

    Raises:
        ValueError: If it is called without them.

    Source: Huang et al. 2024 (R3GAN), arXiv 2501.05441, eq. 2.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    h = kmf.mappings.Relativistic(np.array([0.0, 2.0]))
    h.derivative(np.array([0.0]))  # (1/2 + sigmoid(2)) / 2 = 0.690
    ```
    """

    needs_real = True

    def __init__(self, real_log_ratio: Any = None) -> None:
        self.real_log_ratio = real_log_ratio

    def given(self, real_log_ratio: Tensor) -> Mapping:
        return Relativistic(real_log_ratio)

    def h(self, u: Tensor) -> Tensor:
        return -ops.mean(ops.softplus(self._gaps(u)), axis=-1)

    def slope(self, u: Tensor) -> Tensor:
        return ops.mean(ops.sigmoid(self._gaps(u)), axis=-1)

    def _gaps(self, u: Tensor) -> Tensor:
        if self.real_log_ratio is None:
            raise ValueError(
                "The mapping 'relativistic' compares samples with the log "
                "ratios of data, and none were given. It is for models with a "
                "discriminator, which look them up; else pass "
                "`kmf.mappings.Relativistic(real_log_ratio)`."
            )
        real = ops.stop_gradient(at_least_float32(self.real_log_ratio))
        return ops.reshape(ops.cast(real, u.dtype), (-1,)) - u[..., None]

    def get_config(self) -> Config:
        # (Those of the data change, and are not part of a file.)
        return {}
