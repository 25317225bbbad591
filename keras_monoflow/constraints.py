"""Weight constraints for critics."""

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class ClipWeights(keras.constraints.Constraint):
    """Keeps every weight within `[-limit, limit]`, as the first WGAN does.

    The optimizer applies it after each update. It bounds the Lipschitz constant
    of a critic, but by how much depends on the architecture: the length
    of its gradients means nothing, so use `normalize_velocity=True` with it.

    Args:
        limit: Positive float. The paper uses 0.01.

    Raises:
        ValueError: If `limit` is not positive and finite.

    Source: Arjovsky et al. 2017, arXiv 1701.07875, Algorithm 1.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    clip = kmf.constraints.ClipWeights(0.01)
    layer = keras.layers.Dense(
        64, kernel_constraint=clip, bias_constraint=clip
    )
    ```
    """

    def __init__(self, limit: float = 0.01) -> None:
        self.limit = check_number("limit of ClipWeights", limit, above=0)

    def __call__(self, w: Tensor) -> Tensor:
        return ops.clip(w, -self.limit, self.limit)

    def get_config(self) -> Config:
        return {"limit": self.limit}
