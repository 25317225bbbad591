"""The potential of MonoFlow, a mapping of the estimated log ratio."""

from typing import Any

import keras

from keras_monoflow import losses, mappings
from keras_monoflow.arguments import takes
from keras_monoflow.losses import DensityRatioLoss
from keras_monoflow.mappings import Mapping
from keras_monoflow.numerics import mean
from keras_monoflow.potentials.potential import Potential
from keras_monoflow.typing import Config, Tensor


class LogRatioPotential(Potential):
    """`V = h(u)`, with `u = log(p_data / p_gen)` from the discriminator.

    Source: Yi, Zhu and Liu 2023 (MonoFlow), arXiv 2302.01075.

    Args:
        mapping: The strictly increasing `h`: a mapping, its name, or a
            function.
        discriminator_loss: The objective, whose link turns outputs into `u`:
            a `DensityRatioLoss`, its name, or `"matched"`.

    Raises:
        ValueError: If a name is unknown or the mapping is not increasing.
    """

    log_names = ("log_ratio_real", "log_ratio_fake")
    estimates_ratio = True

    def __init__(
        self,
        mapping: Any = "non_saturating",
        discriminator_loss: str | DensityRatioLoss = "logistic",
    ) -> None:
        self.mapping: Mapping = mappings.get(mapping)
        self.loss: DensityRatioLoss = losses.get(
            discriminator_loss, self.mapping
        )
        self.needs_reference = self.loss.uses_whole_batch
        self.needs_real_output = self.mapping.needs_real
        if self.mapping.needs_real:
            self.whole_batch_part = "mapping='relativistic'"
        if self.loss.uses_whole_batch:
            self.whole_batch_part = f"discriminator_loss={self.loss.name!r}"

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
        self,
        output: Tensor,
        reference_output: Tensor | None = None,
        real_output: Tensor | None = None,
    ) -> Tensor:
        mapping = self.mapping
        if real_output is not None and mapping.needs_real:
            generated = output if reference_output is None else reference_output
            mapping = mapping.given(self.log_ratio(real_output, generated))
        return self.loss.potential(mapping, output, reference_output)

    def log_ratio(
        self, output: Tensor, reference_output: Tensor | None = None
    ) -> Tensor:
        return self.loss.log_ratio(output, reference_output)

    def logs(
        self, real_output: Tensor, fake_output: Tensor, **weights: Tensor
    ) -> dict[str, Tensor]:
        real = self.log_ratio(real_output, fake_output)
        fake = self.log_ratio(fake_output, fake_output)
        return {
            "log_ratio_real": mean(real, weights.get("real_weight")),
            "log_ratio_fake": mean(fake, weights.get("fake_weight")),
        }

    def weights_refused(self, for_both: bool) -> str | None:
        if self.mapping.needs_real:
            return "the mapping 'relativistic'"
        if for_both and self.loss.uses_whole_batch:
            # (Its link is that of generated samples without weights.)
            return f"discriminator_loss={self.loss.name!r} with conditions"
        takes_them = takes(self.loss.call, "real_weight")
        return None if takes_them else type(self.loss).__name__

    def arguments(self) -> Config:
        return {
            "mapping": mappings.serialize(self.mapping),
            "discriminator_loss": keras.saving.serialize_keras_object(
                self.loss
            ),
        }

    def user_objects(self) -> list[tuple[Any, str]]:
        things: list[tuple[Any, str]] = [
            (type(self.loss), "discriminator_loss")
        ]
        for mapping, argument in (
            (self.mapping, "mapping"),
            (getattr(self.loss, "mapping", None), "discriminator_loss"),
        ):
            if isinstance(mapping, mappings.FunctionMapping):
                things.append((mapping.function, argument))
            elif mapping is not None:
                things.append((type(mapping), argument))
        return things
