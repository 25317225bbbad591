"""The objective that belongs to a mapping."""

from typing import Any

from keras_monoflow import mappings
from keras_monoflow.losses.density_ratio_loss import DensityRatioLoss
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.registry import OBJECTIVES
from keras_monoflow.typing import Config, Tensor


@OBJECTIVES.register()
class MatchedLoss(DensityRatioLoss):
    """`E_q h(d) - E_p g(d)`, a mapping's own objective, with its dual `g`.

    The minimizer is `d = log(p/q)` for every strictly increasing `h`, because
    `g'(u) = exp(-u) h'(u)`. It is the variational form of the divergence
    that the flow descends (Nowozin et al. 2016, arXiv 1606.00709).

    Args:
        mapping: A mapping or its name; it must have a dual.

    Raises:
        ValueError: If the mapping has no dual.
    """

    def __init__(self, mapping: Any, name: str | None = "matched") -> None:
        super().__init__(name=name)
        self.mapping = mappings.get(mapping)
        if self.mapping.dual is None:
            known = [
                k for k in mappings.NAMED if mappings.get(k).dual is not None
            ]
            raise ValueError(
                "`mapping` of MatchedLoss must have a dual g with "
                f"g'(u) = exp(-u) h'(u), which {self.mapping!r} has not. "
                "Use another discriminator objective, such as 'logistic', or "
                f"one of the mappings {', '.join(known)}."
            )

    def call(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        fake = mean(self.mapping(fake_output), fake_weight)
        return fake - mean(self.mapping.dual(real_output), real_weight)

    def log_ratio(
        self, output: Tensor, fake_output: Tensor | None = None
    ) -> Tensor:
        return at_least_float32(output)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "mapping": mappings.serialize(self.mapping),
        }
