"""W2-FE, the Wasserstein-2 flow, as a Keras model."""

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.losses import RegularizedDualLoss, quadratic_cost
from keras_monoflow.models import checks
from keras_monoflow.models.adversarial_model import AdversarialModel
from keras_monoflow.numerics import at_least_float32


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
        generator,
        potential,
        conjugate,
        prior="normal",
        seed=None,
        name=None,
    ):
        super().__init__(
            generator, potential, prior=prior, seed=seed, name=name
        )
        checks.check_unconditional(potential, self.role, "W2FE")
        checks.check_network(conjugate, "conjugate")
        checks.check_shapes(generator, conjugate, "conjugate")
        checks.check_one_output(conjugate, "conjugate")
        checks.check_different(potential, conjugate)
        gradients.use_seed_states(conjugate)
        self.conjugate = conjugate

    @classmethod
    def network_roles(cls):
        return (*super().network_roles(), "conjugate")

    @property
    def potential(self):
        """The network that the base class calls the discriminator."""
        return self.discriminator

    def _discriminator_networks(self):
        return [self.potential, self.conjugate]

    def compile(
        self,
        generator_optimizer=None,
        potential_optimizer=None,
        constraint_weight=1000.0,
        penalty=None,
        potential_steps=1,
        split_batch=False,
        potential_warmup=0,
        persistency=1,
        step_size=0.2,
        update="persistent",
        normalize_velocity=False,
        reuse_generated=False,
        ema=None,
        **kwargs,
    ):
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
            potential_warmup: The first that many batches of the model's life
                train the potentials only.
            persistency: Number `K` of generator updates that fit the same
                moved samples.
            step_size: The share of its way that a sample goes in a round, in
                (0, 1], or a `keras.optimizers.schedules` object of the round.
                It scales the generator's gradient.
            update: As in `MonoFlowGAN.compile`.
            normalize_velocity: As there.
            reuse_generated: As there.
            ema: As there.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`, as
                in `keras.Model.compile`.

        Raises:
            ValueError: If a name is unknown or a number is out of range.
        """
        checks.check_share("step_size", step_size)
        self.dual_loss = RegularizedDualLoss(constraint_weight)
        self._compile(
            generator_optimizer,
            potential_optimizer,
            penalty=penalty,
            discriminator_steps=potential_steps,
            split_batch=split_batch,
            discriminator_warmup=potential_warmup,
            persistency=persistency,
            step_size=step_size,
            update=update,
            normalize_velocity=normalize_velocity,
            reuse_generated=reuse_generated,
            ema=ema,
            log_names=("generator_loss", "potential_loss"),
            **kwargs,
        )

    def _discriminator_loss(self, real, generated, labels, training):
        phi = at_least_float32(self.potential(generated, training=training))
        psi = at_least_float32(self.conjugate(real, training=training))
        loss = self.dual_loss(psi, phi, quadratic_cost(generated, real))
        self._log(real, potential_loss=loss)
        return loss

    def _whole_batch_parts(self):
        # Its constraint couples all generated samples with all data.
        return [*super()._whole_batch_parts(), "the dual loss of W2FE"]

    def potential_of(self, output, fake_output=None):
        """Returns `V = -phi(x)`."""
        return -at_least_float32(output)

    def transport(self, x):
        """Returns `x - grad phi(x)`, the learnt optimal map to the data.

        Args:
            x: Array `(n, *sample_shape)`.

        Returns:
            A NumPy array of the same shape.
        """
        return ops.convert_to_numpy(x) + self.velocity(np.asarray(x))

    def _compile_arguments(self):
        return {
            **super()._compile_arguments(),
            "constraint_weight": self.dual_loss.weight,
        }
