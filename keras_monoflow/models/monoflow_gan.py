"""MonoFlow as a Keras model."""

from typing import Any

import keras

from keras_monoflow import losses, potentials
from keras_monoflow.models.adversarial_model import AdversarialModel
from keras_monoflow.models.fit_checks import check_trainer_arguments
from keras_monoflow.models.training_choices import TrainingChoices
from keras_monoflow.registry import key_of
from keras_monoflow.typing import OptimizerLike, Schedule


@keras.saving.register_keras_serializable("keras_monoflow")
class MonoFlowGAN(AdversarialModel):
    """A GAN whose generator follows `grad h(log(p_data / p_gen))`.

    The discriminator estimates the log density ratio `u`; the generator
    moves its samples along `grad h(u)`, with any strictly increasing mapping
    `h`. Every divergence GAN is a choice of `h` (MonoFlow, arXiv 2302.01075).

    Args:
        generator: A built `keras.Model` from latent points to samples, a tensor
            or a dictionary or list of tensors.
        discriminator: A built `keras.Model` from samples to `(batch, 1)` or
            `(batch,)`, with no activation at the end.
        prior: `"normal"`, `"uniform"`, a function like those of
            `keras.random`, or an array of source samples, of which rows are
            drawn. `None` for a generator that takes a condition alone, and a
            discriminator that takes `[samples, condition]`: `fit(x, y)` with
            samples `x` and conditions `y`, for image translation targets first
            and sources second.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.
        pack: How many samples `m` the discriminator sees at once, along the
            last axis: `(batch, ..., m * c)` for samples `(batch, ..., c)`, and
            labels likewise. It then estimates the log density ratio of groups
            (the sum over the samples of a group if these are independent), and
            notices a generator that repeats itself (PacGAN, arXiv 1712.04086).
            `log_ratio` and `velocity` take samples in such groups.

    Raises:
        ValueError: If a network is not built, or the shapes do not fit.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(latent_dim=2, output_dim=2),
        kmf.networks.mlp_discriminator(input_dim=2),
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        mapping="non_saturating",
    )
    gan.fit(kmf.datasets.gaussian_ring(1024, seed=0), batch_size=128)
    samples = gan.sample(64, seed=0)
    ```
    """

    def compile(
        self,
        generator_optimizer: OptimizerLike | None = None,
        discriminator_optimizer: OptimizerLike | None = None,
        mapping: Any = "non_saturating",
        discriminator_loss: Any = "logistic",
        penalty: Any = None,
        discriminator_steps: int = 1,
        split_batch: bool = False,
        discriminator_warmup: int = 0,
        persistency: int = 1,
        step_size: float | Schedule | None = None,
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
            discriminator_optimizer: Another one.
            mapping: A name, a `keras_monoflow.mappings.Mapping`, or a strictly
                increasing function of the log density ratio. `"relativistic"`
                compares samples with those of the data, as R3GAN does.
            discriminator_loss: A name, a `keras_monoflow.losses.
                DensityRatioLoss`, or `"matched"` for the mapping's own.
                `"hinge"` estimates no density ratio, and needs `mapping=None`.
            penalty: A `keras_monoflow.penalties.Penalty`, a list, or `None`.
            discriminator_steps: Discriminator updates a round.
            split_batch: Whether each of these steps gets a slice of the batch
                of its own, as in the papers; by default each sees all of it.
                The generator's batch has the size of a slice, and rows that
                do not fill a slice are left out.
            discriminator_warmup: How many batches at the start of the model's
                life train the discriminator only. Until these are over, the
                generator may be frozen: it is only judged.
            persistency: Number `K` of generator updates that fit the same
                moved samples (W1-FE, arXiv 2405.16351).
            step_size: How far samples move along the velocity in a round: a
                positive float in data units per unit of velocity, or a
                `keras.optimizers.schedules` object that counts rounds. It
                scales the generator's gradient. The default is 1 for
                `persistency=1`; there is no safe default for more.
            update: What the `K` updates minimize: `"persistent"` fits the moved
                samples, `"naive"` repeats the plain loss, `"proximal"` adds
                the squared distance to where the samples were.
            normalize_velocity: Whether to divide the velocity by its mean
                length over the batch, so that `step_size` is a length.
            reuse_generated: Whether all updates of a round share one batch of
                generated samples and its forward pass, as in the MonoFlow
                authors' code.
            ema: Decay of an averaged generator, between 0 and 1, for example
                0.999, or a schedule that counts rounds; `None` for none. It is
                smaller in the first rounds. Batch statistics are averaged too.
                `sample`, `predict` and `evaluate` use the average, which is
                `averaged_generator`; the trained network stays `generator`.
            ema_half_life: Instead of `ema`, the half-life of the average in
                samples, a number or a schedule that counts rounds; at most
                5 % of the samples seen so far.
            augment: What changes samples before the discriminator sees them,
                for small data: `"diff_augment"` or `"ada"` for images, a
                `keras_monoflow.augmentation.Augment`, a Keras layer, a function
                of samples and a seed, or `None`.
            head_weights: For a discriminator with a list or dictionary of
                outputs, a list or dictionary of positive floats, the weights
                of their losses; `None` for 1.
            generator_terms: What the generator minimizes beside the flow, in
                the same step and in every fit: a list of names, of
                `keras_monoflow.terms.GeneratorTerm`s such as
                `Reconstruction("l1", weight=100.0)`, or of functions of
                (samples, real, condition, features).
            generator_warmup: How many batches at the start of the model's life
                train the generator only, on these terms.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`, as
                in `keras.Model.compile`.

        Raises:
            TypeError, ValueError: If an argument is of another type, a name is
                unknown, a mapping is not increasing, or a number is out of
                range.
        """
        check_trainer_arguments(type(self).__name__, kwargs)
        if step_size is None:
            if persistency != 1:
                raise ValueError(
                    "`step_size` must be given with `persistency` above 1, "
                    "since a sample moves by step_size * h'(u) |grad u| and "
                    "no value is safe for all mappings. Received: "
                    f"persistency={persistency!r}, step_size=None."
                )
            step_size = 1.0
        self._compile(
            generator_optimizer,
            discriminator_optimizer,
            _potential(mapping, discriminator_loss),
            penalty,
            TrainingChoices(
                role=self.role,
                discriminator_steps=discriminator_steps,
                split_batch=split_batch,
                discriminator_warmup=discriminator_warmup,
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


def _potential(mapping, discriminator_loss):
    if isinstance(discriminator_loss, losses.WassersteinLoss):
        discriminator_loss = "wasserstein"
    is_name = isinstance(discriminator_loss, str)
    if is_name and key_of(discriminator_loss) == "wasserstein":
        losses.get(discriminator_loss)  # Raises: that is another model.
    return potentials.get(mapping, discriminator_loss)
