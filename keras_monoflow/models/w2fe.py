"""W2-FE, the Wasserstein-2 flow, as a Keras model."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients, penalties
from keras_monoflow.arguments import check_number
from keras_monoflow.models import network_checks
from keras_monoflow.models.adversarial_model import AdversarialModel
from keras_monoflow.models.fit_checks import check_trainer_arguments
from keras_monoflow.models.training_choices import TrainingChoices
from keras_monoflow.penalties import OutputPenalty
from keras_monoflow.potentials import KantorovichPotential
from keras_monoflow.typing import (
    Array,
    ArrayLike,
    OptimizerLike,
    Schedule,
    Tensor,
)


@keras.saving.register_keras_serializable("keras_monoflow")
class W2FE(AdversarialModel):
    """Forward Euler on the gradient flow of the squared Wasserstein-2 distance.

    Two networks estimate the Kantorovich potentials `phi` of the generated
    samples and `psi` of the data, with `phi(x) + psi(y) <= |x - y|^2 / 2`. The
    optimal map is `T(x) = x - grad phi(x)`. In each round the samples move to

        x - step_size grad phi(x) = (1 - step_size) x + step_size T(x),

    along the straight line to where they belong, and the generator fits the
    moved samples in `persistency` updates, as in `W1FE`. Followed exactly, a
    round multiplies the distance W2 by `1 - step_size` (W2-FE, Huang and Malik,
    arXiv 2406.13619).

    Args:
        generator: A built `keras.Model` from latent points to samples.
        potential: A built `keras.Model` for `phi`, from samples to `(batch, 1)`
            or `(batch,)`, with no activation at the end.
        conjugate: Another one, for `psi`.
        prior: As in `MonoFlowGAN`.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.

    Raises:
        ValueError: If a network is not built, or the shapes do not fit.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    model = kmf.W2FE(
        kmf.networks.mlp_generator(latent_dim=2, output_dim=2),
        kmf.networks.mlp_discriminator(input_dim=2),
        kmf.networks.mlp_discriminator(input_dim=2),
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(1e-3, 0.5, 0.9),
        potential_optimizer=keras.optimizers.Adam(1e-3, 0.5, 0.9),
        potential_steps=5,
        persistency=5,
        step_size=0.2,
    )
    model.fit(kmf.datasets.gaussian_ring(1024, seed=0), batch_size=256)
    ```
    """

    role = "potential"

    def __init__(
        self,
        generator: keras.Model,
        potential: keras.Model,
        conjugate: keras.Model,
        prior: Any = "normal",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            generator, potential, prior=prior, seed=seed, name=name
        )
        network_checks.check_no_labels("W2FE", self.conditional)
        network_checks.check_one_output(potential, self.role)
        network_checks.check_network(conjugate, "conjugate")
        network_checks.check_shapes(generator, conjugate, "conjugate")
        network_checks.check_one_output(conjugate, "conjugate")
        network_checks.check_different(
            {
                "generator": generator,
                "potential": potential,
                "conjugate": conjugate,
            }
        )
        network_checks.warn_if_squashed(conjugate, "conjugate")
        gradients.use_seed_states(conjugate)
        self.conjugate = conjugate
        # Both networks tell where samples move before `compile` as well.
        self.flow_potential = KantorovichPotential()

    @classmethod
    def network_roles(cls) -> tuple[str, ...]:
        return (*super().network_roles(), "conjugate")

    @property
    def potential(self) -> keras.Model:
        """The network that the base class calls the discriminator."""
        return self.discriminator

    def _discriminator_networks(self):
        return [self.potential, self.conjugate]

    def compile(
        self,
        generator_optimizer: OptimizerLike | None = None,
        potential_optimizer: OptimizerLike | None = None,
        constraint_weight: float = 1000.0,
        penalty: Any = None,
        potential_steps: int = 1,
        split_batch: bool = False,
        potential_warmup: int = 0,
        persistency: int = 1,
        step_size: float | Schedule = 0.2,
        update: str = "persistent",
        normalize_velocity: bool = False,
        reuse_generated: bool = False,
        ema: float | Schedule | None = None,
        ema_half_life: float | Schedule | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            generator_optimizer: A `keras.optimizers.Optimizer`.
            potential_optimizer: Another one, for both potentials.
            constraint_weight: Positive float, the `weight` of
                `keras_monoflow.losses.RegularizedDualLoss`.
            penalty: A `keras_monoflow.penalties.Penalty` on the gradient of the
                potential, a list, or `None`.
            potential_steps: Updates of both potentials a round.
            split_batch: As in `MonoFlowGAN.compile`.
            potential_warmup: How many batches at the start of the model's life
                train the potentials only. Until these are over, the generator
                may be frozen.
            persistency: Number `K` of generator updates that fit the same
                moved samples.
            step_size: The fraction of its way that a sample moves in a round,
                in (0, 1], or a `keras.optimizers.schedules` object that counts
                rounds.
                It scales the generator's gradient.
            update: As in `MonoFlowGAN.compile`.
            normalize_velocity: As there.
            reuse_generated: As there.
            ema: As there.
            ema_half_life: As there.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`, as
                in `keras.Model.compile`.

        Raises:
            TypeError, ValueError: If an argument is of another type, a name is
                unknown or a number is out of range.
        """
        check_trainer_arguments(type(self).__name__, kwargs)
        if not callable(step_size):
            check_number(
                "step_size",
                step_size,
                above=0,
                maximum=1,
                hint="It lies in (0, 1]: the share of its way to the data that "
                "a sample goes in a round.",
            )
        if any(isinstance(p, OutputPenalty) for p in penalties.get(penalty)):
            raise ValueError(
                "A W2FE takes penalties on gradients alone: its outputs on "
                "real and on generated samples come from two networks. "
                f"Received: penalty={penalty!r}."
            )
        self._compile(
            generator_optimizer,
            potential_optimizer,
            KantorovichPotential(constraint_weight),
            penalty,
            TrainingChoices(
                role=self.role,
                discriminator_steps=potential_steps,
                split_batch=split_batch,
                discriminator_warmup=potential_warmup,
                persistency=persistency,
                step_size=step_size,
                update=update,
                normalize_velocity=normalize_velocity,
                reuse_generated=reuse_generated,
                ema=ema,
                ema_half_life=ema_half_life,
            ),
            **kwargs,
        )

    def discriminate(
        self,
        real: Tensor,
        generated: Tensor,
        labels: Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Returns `psi` of the real samples and `phi` of the generated."""
        return (
            self.conjugate(self.parts.split(real), training=training),
            self.potential(self.parts.split(generated), training=training),
        )

    def transport(self, x: ArrayLike) -> Array:
        """Returns `x - grad phi(x)`, the learned optimal map to the data.

        Args:
            x: Array `(n, *sample_shape)`.

        Returns:
            A NumPy array of the same shape.
        """
        x = keras.tree.map_structure(ops.convert_to_numpy, x)
        return keras.tree.map_structure(np.add, x, self.velocity(x))
