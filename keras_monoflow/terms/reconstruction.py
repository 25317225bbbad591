"""How far generated samples are from those that they should be."""

from typing import Any

from keras import ops

from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.registry import TERMS, key_of, lookup
from keras_monoflow.terms.generator_term import Features, GeneratorTerm
from keras_monoflow.typing import Config, Tensor

DISTANCES = {"l1": ops.abs, "l2": ops.square}


@TERMS.register("reconstruction")
class Reconstruction(GeneratorTerm):
    """`w E |G(z, c) - x|`, with `x` the real sample of the condition `c`.

    The mean over all entries of all samples, as in pix2pix. It means something
    for conditional models alone: without a condition, the real sample in the
    same row has nothing to do with a generated one.

    Args:
        distance: `"l1"` for absolute values, or `"l2"` for squares.
        weight: Positive float, a schedule of the round, or `"balanced"`; see
            `GeneratorTerm`. 100 is pix2pix's.
        name: What logs call it.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    term = kmf.terms.Reconstruction("l1")
    print(term.value(np.ones((2, 3)), np.zeros((2, 3)), None, None))  # 1.0
    ```

    Source: Isola et al. 2017 (pix2pix), arXiv 1611.07004, eq. 3.
    """

    default_name = "reconstruction"
    needs_pairs = takes_rows = True

    def __init__(
        self,
        distance: str = "l1",
        weight: Any = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(weight, name)
        lookup(distance, DISTANCES, "distance")
        self.distance = key_of(distance)

    def value(
        self, samples: Tensor, real: Tensor, condition: Any, features: Features
    ) -> Tensor:
        gap = at_least_float32(samples) - at_least_float32(real)
        return mean(DISTANCES[self.distance](gap))

    def get_config(self) -> Config:
        return {**super().get_config(), "distance": self.distance}
