"""The objective of the two potentials of the Wasserstein-2 distance."""

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.backend import framework
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.typing import Config, Tensor


@keras.saving.register_keras_serializable("keras_monoflow")
class RegularizedDualLoss(keras.losses.Loss):
    """Kantorovich's dual of W2 with a soft constraint, to minimize.

    With the quadratic cost `c(x, y) = |x - y|^2 / 2`,

        -E_q phi(x) - E_p psi(y) + w E max(0, phi(x) + psi(y) - c(x, y))^2

    over all pairs of generated `x` and real `y` in a batch. As `w` grows, the
    minimum tends to `-W2(q, p)^2 / 2`, and `x - grad phi(x)` to the optimal map
    from q to p. The density of the regularized plan with respect to
    `q(x) p(y)` is `2 w max(0, phi + psi - c)`.

    Called as `loss(real_output, fake_output, cost)` with `psi(y)` of shape
    `(m,)` or `(m, 1)`, `phi(x)` of shape `(n,)` or `(n, 1)`, and `c(x, y)` of
    shape `(n, m)`. Computed in at least float32.

    Args:
        weight: Positive float `w`, in units of 1 / cost. A larger one gives
            a smaller bias and a noisier gradient.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.

    Source: Seguy et al. 2018, arXiv 1711.02283, the L2 regularization
    with `w = 1 / (4 eps)`.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    loss = kmf.losses.RegularizedDualLoss(weight=10.0)
    phi, psi = np.array([0.2]), np.array([0.3])
    loss(psi, phi, np.array([[0.4]]))  # -0.5 + 10 * 0.1**2
    ```
    """

    def __init__(
        self, weight: float = 1000.0, name: str | None = "regularized_dual"
    ) -> None:
        super().__init__(name=name)
        self.weight = check_number(
            "weight of RegularizedDualLoss", weight, above=0
        )

    def __call__(
        self, real_output: Tensor, fake_output: Tensor, cost: Tensor
    ) -> Tensor:
        return self.call(
            at_least_float32(real_output),
            at_least_float32(fake_output),
            at_least_float32(cost),
        )

    def call(
        self, real_output: Tensor, fake_output: Tensor, cost: Tensor
    ) -> Tensor:
        psi = ops.reshape(real_output, (1, -1))
        phi = ops.reshape(fake_output, (-1, 1))
        excess = ops.relu(phi + psi - cost)
        return self.weight * mean(excess**2) - mean(phi) - mean(psi)

    def get_config(self) -> Config:
        return {"name": self.name, "weight": self.weight}


def quadratic_cost(x: Tensor, y: Tensor) -> Tensor:
    """Returns `|x - y|^2 / 2` of all pairs of samples.

    Args:
        x: Tensor `(n, ...)`.
        y: Tensor `(m, ...)` with samples of the same shape.

    Returns:
        A tensor `(n, m)`.
    """
    x = ops.reshape(x, (ops.shape(x)[0], -1))
    y = ops.reshape(y, (ops.shape(y)[0], -1))
    # The expanded square cancels less near the origin.
    center = ops.mean(y, axis=0, keepdims=True)
    x, y = x - center, y - center
    squares = ops.sum(x**2, axis=1)[:, None] + ops.sum(y**2, axis=1)[None, :]
    return squares / 2 - framework.engine.exact_matmul(x, ops.transpose(y))
