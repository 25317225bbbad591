"""Flows of particles, with no generator."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import potentials, velocities
from keras_monoflow.arguments import check_integer
from keras_monoflow.models import network_checks, network_shapes
from keras_monoflow.models.array_sampler import ArraySampler
from keras_monoflow.models.fit_checks import check_trainer_arguments
from keras_monoflow.models.fitting import with_extra
from keras_monoflow.models.flow_model import FlowModel, _choice
from keras_monoflow.models.looking import seed_or_random
from keras_monoflow.models.particle_round import ParticleRound
from keras_monoflow.models.rounds import CountsRounds
from keras_monoflow.models.sample_round import ParticleSampleRound
from keras_monoflow.models.training_choices import TrainingChoices
from keras_monoflow.models.trajectory import Record, Trajectory
from keras_monoflow.optimizers import build, serialize
from keras_monoflow.penalties import LipschitzPenalty
from keras_monoflow.typing import (
    Array,
    ArrayLike,
    Config,
    OptimizerLike,
    Schedule,
    Seed,
    Tensor,
)


@keras.saving.register_keras_serializable("keras_monoflow")
class ParticleFlow(CountsRounds, FlowModel):
    """Particles that follow a flow themselves.

    What a GAN does to its samples, without the generator: in each round the
    discriminator learns to tell data from particles, and then *all* particles
    take one step of forward Euler,

        x <- x + step_size grad V(x) + sqrt(2 temperature step_size) xi,

    with `V = h(log(p_data / p_gen))` (MonoFlow, arXiv 2302.01075) or
    the critic itself (Wasserstein-1, arXiv 2405.16351). This shows what a
    mapping does, undisturbed by what a network can represent. The log
    `generator_loss` is `-E V` over the particles before they move. All of them
    go through the discriminator at once, which bounds their number by memory.

    Without a discriminator, a velocity from samples takes the place of
    `grad V`: real samples attract the particles, which repel each other.

    Args:
        discriminator: A built `keras.Model` from samples to `(batch, 1)` or
            `(batch,)`, with no activation at the end; `None` for a velocity
            from samples.
        particles: Array `(n, *sample_shape)`, where the particles start.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.

    Raises:
        ValueError: If the network is not built, or the shapes do not fit.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_monoflow as kmf

    particles = np.random.default_rng(0).normal(size=(512, 2))
    flow = kmf.ParticleFlow(kmf.networks.mlp_discriminator(2), particles)
    flow.compile(
        discriminator_optimizer=keras.optimizers.Adam(1e-3),
        mapping="identity",
        discriminator_steps=5,
        step_size=0.02,
    )
    data = kmf.datasets.gaussian_ring(2560, seed=0)
    flow.fit(data, batch_size=256, epochs=2, record_every=5)
    flow.particles  # (512, 2), where they are now
    flow.trajectory  # (5, 512, 2), where they were after 0, 5, ..., 20 rounds

    flow = kmf.ParticleFlow(particles=particles)
    flow.compile(velocity="sinkhorn", step_size=0.2)
    flow.fit(data, batch_size=256)
    ```
    """

    round_class = ParticleRound
    temperature = _choice("temperature")

    def __init__(
        self,
        discriminator: keras.Model | None = None,
        particles: ArrayLike = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        if particles is None:
            raise ValueError(
                "`particles` must be given: an array of the points that move. "
                "Received: particles=None."
            )
        networks = {}
        if discriminator is not None:
            networks["discriminator"] = discriminator
        super().__init__(networks, seed, name)
        # From a configuration: the positions come with the weights.
        is_config = isinstance(particles, dict)
        if discriminator is None:
            self.round_class = ParticleSampleRound
            shape = particles["shape"] if is_config else np.shape(particles)[1:]
        else:
            network_checks.check_unconditional(
                discriminator, self.role, "ParticleFlow"
            )
            shape = network_shapes.input_shape(discriminator, self.role)
        if is_config:
            # The values come with the weights.
            particles = np.zeros((particles["rows"], *shape), "float32")
        self._rows = ArraySampler(
            particles, tuple(shape), "particles", name="particles"
        )
        self._start_counting()
        self._trajectory = Trajectory(shape=(len(self._rows), *shape))

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Returns the discriminator's output at `x`.

        Raises:
            ValueError: If there is none.
        """
        if self.discriminator is None:
            raise ValueError(
                "A ParticleFlow without a discriminator is not a function of "
                "samples. See `particles`, and `velocity(x)`."
            )
        return self.discriminator(x, training=training)

    def compile(
        self,
        discriminator_optimizer: OptimizerLike | None = None,
        mapping: Any = None,
        discriminator_loss: Any = "logistic",
        penalty: Any = "default",
        discriminator_steps: int = 1,
        split_batch: bool = False,
        discriminator_warmup: int = 0,
        step_size: float | Schedule | None = None,
        normalize_velocity: bool = False,
        temperature: float = 0.0,
        velocity: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configures the flow.

        Args:
            discriminator_optimizer: A `keras.optimizers.Optimizer`.
            mapping: A name, a `keras_monoflow.mappings.Mapping`, or a strictly
                increasing function of the log density ratio. The default is
                `"non_saturating"`; the Wasserstein flow has none.
            discriminator_loss: A name, a `keras_monoflow.losses.
                DensityRatioLoss`, or `"matched"` for the mapping's own.
                `"wasserstein"` makes the discriminator a critic, and
                the flow that of the Wasserstein-1 distance.
            penalty: A `keras_monoflow.penalties.Penalty`, a list, or `None` for
                none. The default is `LipschitzPenalty(10.0)` for the
                Wasserstein flow, else none.
            discriminator_steps: Discriminator updates a round.
            split_batch: Whether each of these steps gets a slice of the batch
                of its own.
            discriminator_warmup: How many batches at the start of the model's
                life train the discriminator only.
            step_size: How far particles move along the velocity in a round: a
                positive float in data units per unit of velocity, or a
                `keras.optimizers.schedules` object that counts rounds.
                Required with a discriminator; without one the default is 1.
            normalize_velocity: Whether to divide the velocity by its mean
                length over the particles, so that `step_size` is a length.
            temperature: Size of the Langevin noise, at least 0. Noise of
                temperature `t` adds `t` times the negative entropy to what the
                flow minimizes: with the mapping `"identity"`,
                `KL(q|p) + t E_q log q`.
            velocity: Without a discriminator: a name such as `"sinkhorn"`, or a
                `keras_monoflow.velocities.Velocity`. Only `step_size`,
                `normalize_velocity` and `temperature` can be passed with it.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`, as
                in `keras.Model.compile`.

        Raises:
            TypeError, ValueError: If an argument is of another type, a name is
                unknown, a mapping is not increasing, or a number is out of
                range.
        """
        check_trainer_arguments(type(self).__name__, kwargs)
        motion: Any = {
            "step_size": step_size,
            "normalize_velocity": normalize_velocity,
            "temperature": temperature,
        }
        learning: Any = {
            "discriminator_steps": discriminator_steps,
            "split_batch": split_batch,
            "discriminator_warmup": discriminator_warmup,
        }
        if self.discriminator is None:
            given = {
                "discriminator_optimizer": (discriminator_optimizer, None),
                "mapping": (mapping, None),
                "discriminator_loss": (discriminator_loss, "logistic"),
                "penalty": (penalty, "default"),
                **{
                    n: (v, getattr(TrainingChoices, n))
                    for n, v in learning.items()
                },
            }
            self._compile_velocity(velocity, motion, given, **kwargs)
            return
        if velocity is not None:
            raise ValueError(
                "`velocity` takes the place of a discriminator, and this flow "
                f"has one. Received: velocity={velocity!r}. Leave it out, or "
                "make the flow by `ParticleFlow(particles=...)`."
            )
        if discriminator_optimizer is None:
            raise ValueError(
                "`discriminator_optimizer` is required, for example "
                "discriminator_optimizer=keras.optimizers.Adam(1e-3)."
            )
        if step_size is None:
            raise ValueError(
                "`step_size` is required: a particle moves by step_size * "
                "h'(u) |grad u| in a round, and no value is safe for all "
                "mappings. For the Wasserstein flow it is a length in data "
                "units; try 5 % of the radius of the data."
            )
        potential = potentials.get(mapping, discriminator_loss)
        if penalty == "default":
            needs_one = potential.needs_lipschitz
            penalty = LipschitzPenalty(10.0) if needs_one else None
        optimizer = self._scaled_for_float16(
            keras.optimizers.get(discriminator_optimizer)
        )
        build(optimizer, self.discriminator_variables())
        self._compile(
            optimizer,
            TrainingChoices(role=self.role, **learning, **motion),
            potential=potential,
            penalty=penalty,
            **kwargs,
        )

    def _compile_velocity(self, velocity, motion, given, **kwargs):
        """What `compile` does without a discriminator.

        Args:
            velocity: As in `compile`.
            motion: The arguments that say how far particles move.
            given: Those that have no meaning here, as pairs of a value and
                the default.
            **kwargs: As in `compile`.
        """
        for name, (value, default) in given.items():
            if value is not default and value != default:
                raise ValueError(
                    f"`{name}` has no meaning in a ParticleFlow without a "
                    f"discriminator. Received: {name}={value!r}. Leave it out, "
                    "or make the flow by `ParticleFlow(discriminator, "
                    "particles)`."
                )
        if velocity is None:
            raise ValueError(
                "`velocity` is required without a discriminator, for example "
                "velocity='sinkhorn'."
            )
        if motion["step_size"] is None:
            motion = {**motion, "step_size": 1.0}
        # Keras wants one; there is nothing to optimize.
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build([])
        self._compile(
            optimizer,
            TrainingChoices(role=self.role, **motion),
            velocity=velocities.get(velocity),
            **kwargs,
        )

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return tuple(self._rows.values.shape[1:])

    @property
    def sample_owner(self) -> str:
        return "particles" if self.discriminator is None else self.role

    @property
    def _discriminator_optimizer(self):
        return None if self.discriminator is None else self.optimizer

    # ------------------------------------------------------ the particles

    def draw(
        self,
        n: Any,
        seed: Seed,
        labels: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Returns `n` particles drawn with replacement, a tensor."""
        return self._rows.draw(n, seed)

    @property
    def particles(self) -> Array:
        """Where the particles are, a NumPy array `(n, *sample_shape)`."""
        return np.array(ops.convert_to_numpy(self._rows.values))

    @property
    def max_samples(self) -> int:
        """The number of particles."""
        return len(self._rows)

    def sample(self, n: int, seed: int | None = None) -> Array:
        """Returns `n` of the particles.

        Args:
            n: How many, at most as many as there are.
            seed: Integer for the same particles every time. By default
                `keras.utils.set_random_seed` counts.

        Returns:
            A NumPy array `(n, *sample_shape)`.

        Raises:
            ValueError: If there are fewer.
        """
        check_integer("n", n, minimum=1)
        if n > len(self._rows):
            raise ValueError(
                f"`n` must be at most the number of particles, "
                f"{len(self._rows)}. Received: n={n}."
            )
        rng = np.random.default_rng(seed_or_random(seed))
        return self.particles[rng.permutation(len(self._rows))[:n]]

    # --------------------------------------------------------- trajectory

    def fit(
        self,
        x: Any = None,
        *args: Any,
        record_every: int | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Moves the particles; each batch of data is one round.

        Args:
            x: The data, as in `keras.Model.fit`.
            *args: As there, up to `verbose`.
            record_every: Integer; the positions after every so many rounds are
                appended to `trajectory`, which starts with those before the
                first. `None` records nothing.
            callbacks: As in `keras.Model.fit`.
            **kwargs: As in `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: As `fit` of the other models.
        """
        extra = []
        if record_every is not None:
            check_integer("record_every", record_every, minimum=1)
            extra = [Record(self._trajectory, record_every)]
        kwargs["callbacks"] = with_extra(callbacks, extra)
        return super().fit(x, *args, **kwargs)

    @property
    def trajectory(self) -> Array:
        """Recorded positions, a NumPy array `(records, n, *sample_shape)`."""
        return self._trajectory.positions

    @property
    def trajectory_rounds(self) -> Array:
        """The rounds after which they were recorded, integers `(records,)`."""
        return self._trajectory.rounds

    # ------------------------------------------------------------- saving

    def get_config(self) -> Config:
        rows: Config = {"rows": len(self._rows)}
        if self.discriminator is None:
            rows["shape"] = list(self.sample_shape)
        return {**super().get_config(), "particles": rows}

    def _compile_arguments(self):
        arguments = {
            **super()._compile_arguments(),
            **self.choices.arguments("temperature"),
        }
        if self.discriminator is None:
            return arguments
        return {
            **arguments,
            "discriminator_optimizer": serialize(self.optimizer),
            "discriminator_loss": keras.saving.serialize_keras_object(
                self.discriminator_loss
            ),
            **self.choices.discriminator_arguments(),
        }

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["trajectory"] = self.trajectory
        store["trajectory_rounds"] = self.trajectory_rounds

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self._trajectory.set(store["trajectory_rounds"], store["trajectory"])
