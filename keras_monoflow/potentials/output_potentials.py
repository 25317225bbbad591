"""Potentials that are the discriminator's output itself."""

from typing import Any

import keras

from keras_monoflow.arguments import takes
from keras_monoflow.losses import HingeLoss, WassersteinLoss
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.potentials.potential import Potential
from keras_monoflow.typing import Config, Tensor


class _OutputPotential(Potential):
    """`V = D`, whatever `loss` the discriminator minimizes.

    Args:
        loss: An object of `loss_class`, which may be a user's subclass; `None`
            is the class itself.
    """

    #: The default loss.
    loss_class: type

    def __init__(self, loss: Any = None) -> None:
        self.loss = self.loss_class() if loss is None else loss

    def objective(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real: Tensor,
        generated: Tensor,
        **weights: Tensor,
    ) -> Tensor:
        return self.loss(real_output, fake_output, **weights)

    def value(
        self, output: Tensor, reference_output: Tensor | None = None
    ) -> Tensor:
        return at_least_float32(output)

    def weights_refused(self, for_both: bool) -> str | None:
        takes_them = takes(self.loss.call, "real_weight")
        return None if takes_them else type(self.loss).__name__

    def user_objects(self) -> list[tuple[Any, str]]:
        return [(type(self.loss), "discriminator_loss")]


class WassersteinPotential(_OutputPotential):
    """`V = D`, for a critic that is kept 1-Lipschitz.

    The critic minimizes `E_q D - E_p D`; its minimum is `-W1(p, q)`, and the
    minimizer is minus a Kantorovich potential.

    Source: Malik and Huang 2024 (W1-FE), arXiv 2405.16351.
    """

    needs_lipschitz = True
    loss_class = WassersteinLoss


class HingePotential(_OutputPotential):
    """`V = D`, for a discriminator that learns by the hinge loss.

    Its output is near the sign of `log(p/q)`, not the ratio, so there is no
    mapping.

    Source: Lim and Ye 2017, arXiv 1705.02894.
    """

    loss_class = HingeLoss

    def arguments(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {"mapping": None, "discriminator_loss": serialize(self.loss)}
