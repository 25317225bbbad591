"""The potential of W2-FE."""

from keras_monoflow.losses import RegularizedDualLoss, quadratic_cost
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.potentials.potential import Potential
from keras_monoflow.typing import Config, Tensor


class KantorovichPotential(Potential):
    """`V = -phi`, for the potential `phi` of W2 with the cost `|x - y|^2 / 2`.

    The outputs of the objective come from two networks: `psi` on the real
    samples, `phi` on the generated ones.

    Args:
        constraint_weight: Positive float, the `weight` of
            `keras_monoflow.losses.RegularizedDualLoss`.

    Source: Huang and Malik 2024, arXiv 2406.13619.
    """

    # The constraint couples all generated samples with all data.
    whole_batch_part = "the dual loss of W2FE"

    def __init__(self, constraint_weight: float = 1000.0) -> None:
        self.loss = RegularizedDualLoss(constraint_weight)

    def objective(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real: Tensor,
        generated: Tensor,
    ) -> Tensor:
        return self.loss(
            real_output, fake_output, quadratic_cost(generated, real)
        )

    def value(
        self, output: Tensor, reference_output: Tensor | None = None
    ) -> Tensor:
        return -at_least_float32(output)

    def arguments(self) -> Config:
        return {"constraint_weight": self.loss.weight}
