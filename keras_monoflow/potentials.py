"""Potentials: what a discriminator learns, and what samples climb.

Every flow of the package is one thing: a discriminator `D` minimizes an
*objective* of its outputs on real and generated samples, and the samples move
along the gradient of a scalar *potential* `V` of its output, which is high
where data are. A model asks its potential, and knows no flow by name: to add
one, write a subclass of `Potential`.
"""

from typing import Any

import keras

from keras_monoflow import losses, mappings
from keras_monoflow.arguments import takes
from keras_monoflow.losses import (
    DensityRatioLoss,
    HingeLoss,
    RegularizedDualLoss,
    WassersteinLoss,
    quadratic_cost,
)
from keras_monoflow.mappings import Mapping
from keras_monoflow.numerics import at_least_float32, mean
from keras_monoflow.registry import key_of
from keras_monoflow.typing import Config, Tensor

__all__ = [
    "HingePotential",
    "KantorovichPotential",
    "LogRatioPotential",
    "Potential",
    "WassersteinPotential",
    "get",
]


class Potential:
    """The base of all potentials: an objective and a value.

    Outputs have the shape `(batch,)` or `(batch, 1)`. Everything is computed
    in at least float32.

    Example: the flow of a critic that is trained with the hinge loss.

    ```python
    from keras import ops
    import keras_monoflow as kmf

    class HingePotential(kmf.potentials.Potential):
        def objective(self, real_output, fake_output, real, generated):
            return ops.mean(ops.relu(1 - real_output)) + ops.mean(
                ops.relu(1 + fake_output)
            )

        def value(self, output, reference_output=None):
            return output
    ```
    """

    #: Names of what `logs` returns.
    log_names: tuple[str, ...] = ()

    #: Whether the output stands for `log(p_data / p_gen)`; see `log_ratio`.
    estimates_ratio = False

    #: Whether the discriminator must be kept 1-Lipschitz for the flow.
    needs_lipschitz = False

    #: Whether `value` and `log_ratio` need the output on generated samples.
    needs_reference = False

    #: Whether `value` needs the output on real samples.
    needs_real_output = False

    #: What cannot be computed as a mean over the parts of a batch, in words for
    #: an error message, or `None`.
    whole_batch_part: str | None = None

    def objective(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real: Tensor,
        generated: Tensor,
    ) -> Tensor:
        """Returns the scalar that the discriminator minimizes.

        Args:
            real_output: Output on the real samples, `(m,)` or `(m, 1)`.
            fake_output: Output on the generated ones, `(n,)` or `(n, 1)`.
            real: The real samples, `(m, *sample_shape)`.
            generated: The generated samples, `(n, *sample_shape)`.
        """
        raise NotImplementedError

    def value(
        self, output: Tensor, reference_output: Tensor | None = None
    ) -> Tensor:
        """Returns `V`, of the shape of `output`.

        A potential that `needs_real_output` takes a third argument,
        `real_output`, the output on real samples.

        Args:
            output: The discriminator's output on any samples.
            reference_output: Its output on generated samples, where
                `needs_reference`; by default `output` is taken for it.
        """
        raise NotImplementedError

    def log_ratio(
        self, output: Tensor, reference_output: Tensor | None = None
    ) -> Tensor:
        """Returns the estimate of `log(p_data / p_gen)`.

        Raises:
            ValueError: If the potential estimates no density ratio.
        """
        raise ValueError(
            f"{type(self).__name__} estimates no density ratio. See `velocity` "
            "for where samples move."
        )

    def logs(
        self, real_output: Tensor, fake_output: Tensor, **weights: Tensor
    ) -> dict[str, Tensor]:
        """Returns what else two outputs tell, scalars by `log_names`."""
        return {}

    def weights_refused(self, for_both: bool) -> str | None:
        """Returns what rules out weights of samples, in words for an error
        message, or `None`: `objective` and `logs` then take `real_weight` and
        `fake_weight`, weights `(n,)` whose mean is 1.

        Args:
            for_both: Whether generated samples have weights too.
        """
        functions = self.objective, self.logs
        takes_them = all(takes(f, "real_weight") for f in functions)
        return None if takes_them else type(self).__name__

    def arguments(self) -> Config:
        """Returns the arguments of a model's `compile` that made it, as its
        files hold them."""
        return {}

    def user_objects(self) -> list[tuple[Any, str]]:
        """Returns what a user has passed and must have registered with Keras
        for a model to be saved, each with the name of its argument."""
        return []


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


class _OutputPotential(Potential):
    """`V = D`, whatever `loss` the discriminator minimizes."""

    loss: Any

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


class WassersteinPotential(_OutputPotential):
    """`V = D`, for a critic that is kept 1-Lipschitz.

    The critic minimizes `E_q D - E_p D`; its minimum is `-W1(p, q)`, and the
    minimizer is minus a Kantorovich potential.

    Source: Malik and Huang 2024 (W1-FE), arXiv 2405.16351.
    """

    needs_lipschitz = True

    def __init__(self) -> None:
        self.loss = WassersteinLoss()


class HingePotential(_OutputPotential):
    """`V = D`, for a discriminator that learns by the hinge loss.

    Its output is near the sign of `log(p/q)`, not the ratio, so there is no
    mapping.

    Source: Lim and Ye 2017, arXiv 1705.02894.
    """

    def __init__(self) -> None:
        self.loss = HingeLoss()

    def arguments(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {"mapping": None, "discriminator_loss": serialize(self.loss)}


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


def get(mapping: Any, discriminator_loss: Any) -> Any:
    """Returns the potential that `mapping` and `discriminator_loss` stand for.

    Args:
        mapping: As for `LogRatioPotential`; `None` is `"non_saturating"`, and
            the only choice beside the identity for the two losses that
            estimate no density ratio.
        discriminator_loss: As there, or `"hinge"` or `"wasserstein"`.

    Raises:
        ValueError: If a mapping is given for a flow that has none; else as
            `LogRatioPotential`.
    """
    if isinstance(discriminator_loss, dict):
        discriminator_loss = keras.saving.deserialize_keras_object(
            discriminator_loss
        )
    for kind, name, make in (
        (WassersteinLoss, "wasserstein", WassersteinPotential),
        (HingeLoss, "hinge", HingePotential),
    ):
        is_name = isinstance(discriminator_loss, str)
        if isinstance(discriminator_loss, kind) or (
            is_name and key_of(discriminator_loss) == name
        ):
            _check_no_mapping(mapping, name)
            return make()
    mapping = "non_saturating" if mapping is None else mapping
    return LogRatioPotential(mapping, discriminator_loss)


def _check_no_mapping(mapping: Any, name: str) -> None:
    if mapping is None or isinstance(mappings.get(mapping), mappings.Identity):
        return
    raise ValueError(
        f"discriminator_loss={name!r} estimates no density ratio, so it takes "
        "no mapping: samples climb the output itself. Pass mapping=None, or "
        "take a density ratio objective such as discriminator_loss='logistic'. "
        f"Received: mapping={mapping!r}."
    )
