"""W1-FE, the Wasserstein-1 flow, as a Keras model."""

from typing import Any

import keras

from keras_monoflow.models.adversarial_model import AdversarialModel
from keras_monoflow.models.fit_checks import check_trainer_arguments
from keras_monoflow.models.training_choices import TrainingChoices
from keras_monoflow.penalties import LipschitzPenalty
from keras_monoflow.potentials import WassersteinPotential
from keras_monoflow.typing import OptimizerLike, Schedule


@keras.saving.register_keras_serializable("keras_monoflow")
class W1FE(AdversarialModel):
    """Forward Euler on the gradient flow of the Wasserstein-1 distance.

    The critic `D` estimates the negative of a Kantorovich potential of
    W1(p_data, p_gen). In a round it takes `critic_steps` steps to minimize

        E_z D(G(z)) - E_x D(x) + penalty.

    Then samples `y = G(z)` move along its gradient, and the generator fits the
    moved samples for `persistency` steps with the same `z`:

        target = y + step_size * grad D(y)                 (held fixed)
        minimize over G:  E_z 1/2 |target - G(z)|^2

    This is Algorithm 1 of W1-FE (arXiv 2405.16351). The code is in
    `Round.__call__` of `keras_monoflow/models/round.py`, which all flows share;
    only `WassersteinPotential` is specific to this distance.

    With `persistency=1` this is WGAN: WGAN-LP with the default penalty, WGAN-GP
    with `GradientPenalty`, and the clipped WGAN with `penalty=None` and
    constrained critic weights.

    Args:
        generator: A built `keras.Model` from latent points to samples.
        critic: A built `keras.Model` from samples to `(batch, 1)` or
            `(batch,)`, with no activation at the end.
        prior: As in `MonoFlowGAN`.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.
        pack: As in `MonoFlowGAN`.

    Raises:
        ValueError: If a network is not built, or the shapes do not fit.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    model = kmf.W1FE(
        kmf.networks.mlp_generator(latent_dim=2, output_dim=2),
        kmf.networks.mlp_discriminator(input_dim=2),
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, 0.5, 0.9),
        critic_optimizer=keras.optimizers.Adam(1e-3, 0.5, 0.9),
        persistency=5,
        step_size=0.1,
    )
    model.fit(kmf.datasets.gaussian_ring(1024, seed=0), batch_size=256)
    ```
    """

    role = "critic"

    def __init__(
        self,
        generator: keras.Model,
        critic: keras.Model,
        prior: Any = "normal",
        seed: int | None = None,
        name: str | None = None,
        pack: int = 1,
    ) -> None:
        super().__init__(
            generator, critic, prior=prior, seed=seed, name=name, pack=pack
        )
        # The critic tells where samples move before `compile` as well.
        self._set_potential(WassersteinPotential())

    @property
    def critic(self) -> keras.Model:
        """The network that the base class calls the discriminator."""
        return self.discriminator

    def compile(
        self,
        generator_optimizer: OptimizerLike | None = None,
        critic_optimizer: OptimizerLike | None = None,
        penalty: Any = "default",
        critic_steps: int = 1,
        split_batch: bool = False,
        critic_warmup: int = 0,
        persistency: int = 1,
        step_size: float | Schedule = 0.1,
        update: str = "persistent",
        normalize_velocity: bool = False,
        reuse_generated: bool = False,
        ema: float | Schedule | None = None,
        ema_half_life: float | Schedule | None = None,
        augment: Any = None,
        head_weights: Any = None,
        generator_terms: Any = None,
        generator_warmup: int = 0,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            generator_optimizer: A `keras.optimizers.Optimizer`.
            critic_optimizer: Another one.
            penalty: A `keras_monoflow.penalties.Penalty`, a list, or `None` for
                none. The default is `LipschitzPenalty(10.0)`.
            critic_steps: Critic updates a round.
            split_batch: As in `MonoFlowGAN.compile`.
            critic_warmup: How many batches at the start of the model's life
                train the critic only. Until these are over, the generator may
                be frozen.
            persistency: Number `K` of generator updates that fit the same
                moved samples.
            step_size: How far a sample moves in a round where the critic's
                gradient has length 1, in data units; a positive float or a
                `keras.optimizers.schedules` object that counts rounds. Try 5 to
                25 % of the radius of the data. It scales the generator's
                gradient.
            update: As in `MonoFlowGAN.compile`.
            normalize_velocity: As there; for critics whose gradients have no
                length of their own, as with spectral normalization or clipping.
            reuse_generated: As there.
            ema: As there.
            ema_half_life: As there.
            augment: As there.
            head_weights: As there.
            generator_terms: As there.
            generator_warmup: As there.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`, as
                in `keras.Model.compile`.

        Raises:
            TypeError, ValueError: If an argument is of another type, a name is
                unknown or a number is out of range.
        """
        check_trainer_arguments(type(self).__name__, kwargs)
        self._compile(
            generator_optimizer,
            critic_optimizer,
            WassersteinPotential(),
            LipschitzPenalty(10.0) if penalty == "default" else penalty,
            TrainingChoices(
                role=self.role,
                discriminator_steps=critic_steps,
                split_batch=split_batch,
                discriminator_warmup=critic_warmup,
                generator_warmup=generator_warmup,
                persistency=persistency,
                step_size=step_size,
                update=update,
                normalize_velocity=normalize_velocity,
                reuse_generated=reuse_generated,
                ema=ema,
                ema_half_life=ema_half_life,
            ),
            augment=augment,
            head_weights=head_weights,
            generator_terms=generator_terms,
            **kwargs,
        )
