"""One-step generators without a discriminator."""

from typing import Any

import keras

from keras_monoflow import velocities
from keras_monoflow.models import data_checks, label_checks, network_checks
from keras_monoflow.models.fit_checks import check_trainer_arguments
from keras_monoflow.models.flow_model import _choice
from keras_monoflow.models.generator_model import GeneratorModel
from keras_monoflow.models.rounds import CountsRounds
from keras_monoflow.models.sample_round import SampleRound
from keras_monoflow.models.space import SAMPLES, FeatureSpace
from keras_monoflow.models.training_choices import TrainingChoices
from keras_monoflow.optimizers import build_apart, get_required
from keras_monoflow.typing import (
    OptimizerLike,
    Schedule,
    Tensor,
)


@keras.saving.register_keras_serializable("keras_monoflow")
class SampleFlow(CountsRounds, GeneratorModel):
    """A generator that follows a velocity between its samples and the data.

    There is no discriminator. In each round real samples attract the generated
    ones, and those of a second generated batch repel them; the generator fits
    the moved samples in `persistency` updates, as in `W1FE`:

        y = G(z),  target = y + step_size velocity(y; x, y')
        K times:  G <- G - rate grad_G  mean 1/2 |target - G(z)|^2

    With `persistency=1` and the velocity `"drifting"` this is a drifting model
    (arXiv 2602.04770), with `"sinkhorn"` W-Flow (arXiv 2605.11755), with
    `KernelRatio` a MonoFlow of any mapping (arXiv 2302.01075).

    For images, distances between pixels say little: pass a frozen network as
    `features`. Samples then move in the space of its outputs, and the generator
    minimizes `1/2 |phi(G(z)) - target|^2`.

    Args:
        generator: A built `keras.Model` from latent points `z`, or from
            `[z, labels]`, to samples. With labels the model is conditional:
            samples see those of their own class alone, so each class needs
            several rows in a batch (`kmf.datasets.ClassBatches`).
        features: A built `keras.Model` from samples to one or several outputs,
            which is not trained, or `None` for the samples themselves. Each
            output is scaled so that real samples have the mean distance
            `sqrt(size)`.
        prior: As in `MonoFlowGAN`.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.

    Raises:
        ValueError: If a network is not built, or the shapes do not fit.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    flow = kmf.SampleFlow(kmf.networks.mlp_generator(2, 2))
    flow.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, 0.5, 0.9),
        velocity="kernel_ratio",
        persistency=5,
        step_size=0.1,
        normalize_velocity=True,
    )
    flow.fit(kmf.datasets.gaussian_ring(1024, seed=0), batch_size=256)
    samples = flow.sample(64, seed=0)
    ```
    """

    role = "generator"
    round_class = SampleRound

    generated_batch = _choice("generated_batch")
    guidance = _choice("guidance")

    def __init__(
        self,
        generator: keras.Model,
        features: keras.Model | None = None,
        prior: Any = "normal",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        networks = {"generator": generator}
        if features is not None:
            networks["features"] = features
            network_checks.check_different(networks)
        super().__init__(networks, prior=prior, seed=seed, name=name)
        if features is None:
            self.features = None
        else:
            network_checks.check_unconditional(
                features,
                "features",
                "The space in which a SampleFlow moves",
                has_parts=self.parts.are_several,
            )
            network_checks.check_shapes(generator, features, "features")
        self._start_counting()

    def compile(
        self,
        generator_optimizer: OptimizerLike | None = None,
        velocity: Any = "kernel_ratio",
        persistency: int = 1,
        step_size: float | Schedule = 1.0,
        normalize_velocity: bool = False,
        update: str = "persistent",
        generated_batch: int | None = None,
        guidance: float | tuple[float, float] = 1.0,
        ema: float | Schedule | None = None,
        ema_half_life: float | Schedule | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            generator_optimizer: A `keras.optimizers.Optimizer`.
            velocity: A name (`"kernel_ratio"`, `"drifting"`, `"sinkhorn"`,
                `"mmd"`, `"energy"`, `"sliced"`), or a
                `keras_monoflow.velocities.Velocity`.
            persistency: Number `K` of generator updates that fit the same
                moved samples.
            step_size: How far samples move along the velocity in a round: a
                positive float or a `keras.optimizers.schedules` object that
                counts rounds. It scales the generator's gradient.
            normalize_velocity: Whether to divide the velocity by its mean
                length over the batch, so that `step_size` is a length. Advised
                for `persistency` above 1, with 5 % of the radius of the data.
            update: `"persistent"`; the updates of other models need a
                potential.
            generated_batch: How many samples are generated and moved in a
                round, and as many that repel them; by default as many as the
                batch has real ones.
            guidance: For conditional models, how strongly real samples of other
                classes repel: at rest, samples are distributed like
                `g p(x|c) - (g - 1) p(x|not c)`. 1 for no guidance; a pair
                `(low, high)` draws a `g` for each sample.
            ema: Decay of an averaged generator, as in `MonoFlowGAN.compile`.
            ema_half_life: As there.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`, as
                in `keras.Model.compile`.

        Raises:
            TypeError, ValueError: If a name is unknown, a number is out of
                range, or the velocity cannot do what is asked.
        """
        check_trainer_arguments(type(self).__name__, kwargs)
        velocity = velocities.get(velocity)
        choices = TrainingChoices(
            role=self.role,
            persistency=persistency,
            step_size=step_size,
            update=update,
            normalize_velocity=normalize_velocity,
            ema=ema,
            ema_half_life=ema_half_life,
            generated_batch=generated_batch,
            guidance=guidance,
        )
        self._check_choices(velocity, choices)
        optimizer = self._scaled_for_float16(
            get_required(generator_optimizer, "generator_optimizer")
        )
        build_apart(optimizer, self.generator.trainable_variables)
        self._set_average(choices)
        fits = ("regression_loss",) if choices.persistency > 1 else ()
        self._compile(
            optimizer, choices, velocity=velocity, log_names=fits, **kwargs
        )

    def _check_choices(self, velocity, choices):
        if choices.update != "persistent":
            raise ValueError(
                "`update` of a SampleFlow must be 'persistent': the updates "
                "'naive' and 'proximal' minimize a potential, which a velocity "
                f"from samples does not have. Received: update="
                f"{choices.update!r}."
            )
        if self.conditional and not velocity.takes_labels:
            raise ValueError(
                f"The generator takes labels, and velocity={velocity!r} cannot "
                "restrict samples to those of one class. Take another "
                "velocity, or a generator without labels."
            )
        if choices.guidance == 1.0:
            return
        if not self.conditional:
            raise ValueError(
                "`guidance` needs labels, and the generator takes none. "
                f"Received: guidance={choices.guidance!r}. Leave it out, or "
                "pass a generator that takes `[z, labels]`."
            )
        if not velocity.takes_guidance:
            raise ValueError(
                f"velocity={velocity!r} has no guidance. Take 'kernel_ratio', "
                "'mmd', 'energy' or 'drifting'. Received: guidance="
                f"{choices.guidance!r}."
            )

    def _check_data(self, x, y, batch_size):
        super()._check_data(x, y, batch_size)
        if data_checks.smallest_batch(x, batch_size) == 1:
            raise ValueError(
                "A velocity compares the rows of a batch, and the smallest "
                "batch has one. Raise `batch_size`, or drop the ragged last "
                "batch, as `ShuffledDataset(..., drop_remainder=True)` does."
            )
        if self.conditional:
            label_checks.check_rows_of_classes(x, y, batch_size)

    def space(self, real: Tensor) -> Any:
        if self.features is None:
            return SAMPLES
        return FeatureSpace(self._features_of, real)

    def _features_of(self, x, training=False):
        features: Any = self.features
        return features(self.parts.split(x), training=training)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.parts.shape

    @property
    def _generator_optimizer(self):
        return self.optimizer

    # ------------------------------------------------------------- saving

    @classmethod
    def network_roles(cls) -> tuple[str, ...]:
        return ("generator", "features")

    def _compile_arguments(self):
        return {
            **super()._compile_arguments(),
            **self.choices.arguments("generated_batch", "guidance"),
        }
