"""The base of all models that train a generator against a discriminator."""

from typing import Any

import keras

from keras_monoflow.arguments import check_integer
from keras_monoflow.models import network_checks
from keras_monoflow.models.flow_model import _choice
from keras_monoflow.models.generator_model import GeneratorModel
from keras_monoflow.models.packs import Packs
from keras_monoflow.optimizers import PairOptimizer, serialize
from keras_monoflow.typing import Config


class AdversarialModel(GeneratorModel):
    """A generator that follows the potential of a discriminator.

    If both networks take labels as a second input, the model is conditional.

    Args:
        generator: A built `keras.Model` from latent points `z`, or from
            `[z, labels]`, to samples.
        discriminator: A built `keras.Model` from samples `x`, or from
            `[x, labels]`, to `(batch, 1)`.
        prior: Where latent points come from; see `Prior`.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.
        pack: How many samples the discriminator sees at once.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        prior: Any = "normal",
        seed: int | None = None,
        name: str | None = None,
        pack: int = 1,
    ) -> None:
        networks = {"generator": generator, "discriminator": discriminator}
        network_checks.check_different(
            {"generator": generator, self.role: discriminator}
        )
        super().__init__(networks, prior=prior, seed=seed, name=name)
        self.packs = Packs(check_integer("pack", pack, minimum=1))
        network_checks.check_shapes(
            generator, discriminator, self.role, self.packs
        )
        self.discriminator_is_conditional = network_checks.check_conditional(
            self.conditions if self.conditional else None,
            discriminator,
            self.role,
            self.packs,
            has_parts=self.parts.are_several,
        )

    reuse_generated = _choice("reuse_generated")

    @property
    def pack(self) -> int:
        """How many samples the discriminator sees at once."""
        return self.packs.size

    @property
    def sample_shape(self) -> tuple[int, ...]:
        if self._discriminator_has_their_shape:
            return super().sample_shape
        return self.parts.shape

    @property
    def sample_owner(self) -> str:
        own = self._discriminator_has_their_shape
        return super().sample_owner if own else "generator"

    @property
    def _discriminator_has_their_shape(self):
        return self.pack == 1 and not self.parts.are_several

    def get_config(self) -> Config:
        packs = {} if self.pack == 1 else {"pack": self.pack}
        return {**super().get_config(), **packs}

    def _compile(  # type: ignore[override]
        self,
        generator_optimizer,
        discriminator_optimizer,
        potential,
        penalty,
        choices,
        **kwargs,
    ):
        """What the `compile` of all subclasses shares."""
        if self.conditional and choices.reuse_generated and choices.split_batch:
            raise ValueError(
                "`reuse_generated` and `split_batch` do not go together in a "
                "conditional model: each slice has labels of its own."
            )
        self._check_condition_counts(kwargs.get("generator_terms"))
        self._set_average(choices)
        pair = PairOptimizer(
            generator_optimizer, discriminator_optimizer, role=self.role
        )
        pair.generator = self._scaled_for_float16(pair.generator)
        pair.discriminator = self._scaled_for_float16(pair.discriminator)
        pair.build_networks(
            self.generator.trainable_variables, self.discriminator_variables()
        )
        before = getattr(self, "optimizer", None)
        if before is not None:  # Warmups and averages count all rounds.
            pair.iterations.assign(before.iterations)
        fits = ("regression_loss",) if choices.persistency > 1 else ()
        super()._compile(
            pair,
            choices,
            potential=potential,
            penalty=penalty,
            log_names=fits,
            **kwargs,
        )

    def _check_condition_counts(self, generator_terms):
        """Checks that something tells the generator what conditions mean."""
        if (
            self.conditional
            and not self.discriminator_is_conditional
            and self.prior.draws
            and not generator_terms
        ):
            raise ValueError(
                f"`generator` takes conditions and `{self.role}` does not, so "
                "nothing would tell samples of one condition from those of "
                f"another. Let `{self.role}` take `[samples, conditions]`, or "
                "pass `generator_terms` that compare them."
            )

    def _augment_argument(self):
        if self.augment is None:
            return {}
        return {"augment": keras.saving.serialize_keras_object(self.augment)}

    def _terms_arguments(self):
        if not self.generator_terms:
            return {}
        serialize = keras.saving.serialize_keras_object
        return {
            "generator_terms": [serialize(t) for t in self.generator_terms],
            **self.choices.arguments("generator_warmup"),
        }

    def _user_objects(self):
        own = [o for t in self.generator_terms for o in t.user_objects()]
        return [*super()._user_objects(), *own]

    @property
    def _generator_optimizer(self):
        return self.optimizer.generator

    @property
    def _discriminator_optimizer(self):
        return self.optimizer.discriminator

    @property
    def rounds_counter(self) -> keras.Variable:
        return self.optimizer.iterations

    def _compile_arguments(self):
        return {
            **super()._compile_arguments(),
            f"{self.role}_optimizer": serialize(self.optimizer.discriminator),
            **self.choices.discriminator_arguments(),
            **self._augment_argument(),
            **self._terms_arguments(),
            **self.choices.arguments("reuse_generated"),
        }
