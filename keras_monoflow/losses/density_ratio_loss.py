"""The base of the objectives whose minimizer determines the density ratio."""

from typing import Any

from keras_monoflow.arguments import check_number
from keras_monoflow.losses.loss_of_outputs import LossOfOutputs
from keras_monoflow.typing import Tensor


class DensityRatioLoss(LossOfOutputs):
    """Base of the objectives that estimate `u = log(p_data / p_gen)`.

    A subclass defines `call(real_output, fake_output)`, a scalar, and
    `log_ratio(output)`, the inverse link from discriminator output to `u`.

    Called as `loss(real_output, fake_output)` with outputs of shape `(batch,)`
    or `(batch, 1)`; the batches may differ in size. Computed in float32, or in
    the float64 of its inputs, whatever the dtype policy.
    """

    #: Whether the objective and its link need the outputs of a whole batch at
    #: once, and are not means over its parts.
    uses_whole_batch = False

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        """Returns the estimate of `log(p_data / p_gen)`.

        Args:
            output: Discriminator output, of any shape.
            fake_output: Discriminator output on generated samples, for the
                objectives with `uses_whole_batch`; by default `output` is taken
                for it.

        Returns:
            A tensor of the shape of `output`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `log_ratio(self, output)`."
        )

    def potential(
        self, mapping: Any, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        """Returns `h(log_ratio(output))`, which samples climb.

        Where a paper states this composite in closed form, a subclass uses
        that form, which holds outside of the link's domain as well.
        """
        return mapping(self.log_ratio(output, fake_output))


def check_margin(value: Any, owner: str) -> float:
    """Returns the distance from a link's end at which a tangent takes over."""
    return check_number(f"margin of {owner}", value, above=0, below=0.5)
