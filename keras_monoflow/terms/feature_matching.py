"""How unlike generated samples are in the eyes of the discriminator."""

from typing import Any

from keras import ops

from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.registry import TERMS
from keras_monoflow.terms.generator_term import Features, GeneratorTerm
from keras_monoflow.typing import Config, Tensor


@TERMS.register("feature_matching")
class FeatureMatching(GeneratorTerm):
    """`w mean_l E |D_l(G(z)) - D_l(x)|` over the hidden layers `D_l`.

    With `paired=True`, absolute differences from the real sample of the same
    condition, as in pix2pixHD; for conditional models alone. With
    `paired=False` the squared difference of the means over the batch,
    `(E D_l(G(z)) - E D_l(x))^2`, as Salimans et al. have it.

    Args:
        weight: Positive float, a schedule of the round, or `"balanced"`; see
            `GeneratorTerm`. 10 is pix2pixHD's.
        paired: Boolean.
        name: What logs call it.

    Source: Wang et al. 2018 (pix2pixHD), arXiv 1711.11585, eq. 4; Salimans et
    al. 2016, arXiv 1606.03498, section 3.1.
    """

    default_name = "feature_matching"

    def __init__(
        self, weight: Any = 1.0, paired: bool = False, name: str | None = None
    ) -> None:
        super().__init__(weight, name)
        self.paired = bool(paired)

    @property
    def whole_batch_part(self) -> str | None:
        return None if self.paired else "`FeatureMatching(paired=False)`"

    @property
    def needs_pairs(self) -> bool:  # type: ignore[override]
        return self.paired

    def value(
        self, samples: Tensor, real: Tensor, condition: Any, features: Features
    ) -> Tensor:
        pairs = list(zip(features(samples), features(real)))
        return sum(self._distance(fake, x) for fake, x in pairs) / len(pairs)

    def _distance(self, fake: Tensor, real: Tensor) -> Tensor:
        fake = at_least_float32(fake)
        real = ops.stop_gradient(at_least_float32(real))
        if self.paired:
            return mean(ops.abs(fake - real))
        return mean((ops.mean(fake, axis=0) - ops.mean(real, axis=0)) ** 2)

    def get_config(self) -> Config:
        return {**super().get_config(), "paired": self.paired}
