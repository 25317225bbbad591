"""Flows of particles, with no generator."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import potentials
from keras_monoflow.arguments import check_integer
from keras_monoflow.models import network_checks
from keras_monoflow.models.array_sampler import ArraySampler
from keras_monoflow.models.fitting import with_extra
from keras_monoflow.models.flow_model import FlowModel, _choice
from keras_monoflow.models.forward_euler import euler_step
from keras_monoflow.models.looking import random_seed
from keras_monoflow.models.round import Batch, Generated, Round
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


class ParticleRound(Round):
    """A round in which all particles take an Euler step themselves."""

    def draw(self, batch: Batch) -> Tensor:
        """Returns as many particles as a batch has samples."""
        return self.model.draw(batch.size, self.seed)

    def train_generator(
        self, batch: Batch, generated: Generated | None = None
    ) -> None:
        """Moves all particles, for they are the samples."""
        rows = self.model._rows
        x = ops.convert_to_tensor(rows.values)
        moved = euler_step(
            x,
            self.scaled(self.velocity(x, batch)),
            self.step_size(),
            self.choices.temperature,
            self.model.seed_generator,
        )
        rows.values.assign(moved)


@keras.saving.register_keras_serializable("keras_monoflow")
class ParticleFlow(FlowModel):
    """Particles that follow a MonoFlow or the Wasserstein-1 flow themselves.

    What a GAN does to its samples, without the generator: in each round the
    discriminator learns to tell data from particles, and then *all* particles
    take one step of forward Euler,

        x <- x + step_size grad V(x) + sqrt(2 temperature step_size) xi,

    with `V = h(log(p_data / p_gen))` (MonoFlow, arXiv 2302.01075) or
    the critic itself (Wasserstein-1, arXiv 2405.16351). This shows what a
    mapping does, undisturbed by what a network can represent. The log
    `generator_loss` is `-E V` over the particles before they move. All of them
    go through the discriminator at once, which bounds their number by memory.

    Args:
        discriminator: A built `keras.Model` from samples to `(batch, 1)` or
            `(batch,)`, with no activation at the end.
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
    ```
    """

    round_class = ParticleRound
    temperature = _choice("temperature")

    def __init__(
        self,
        discriminator: keras.Model,
        particles: ArrayLike,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__({"discriminator": discriminator}, seed, name)
        if isinstance(particles, dict):
            # From a configuration: the positions come with the weights.
            particles = particles["rows"]
        network_checks.check_unconditional(
            discriminator, self.role, "ParticleFlow"
        )
        shape = network_checks.input_shape(discriminator, self.role)
        self._rows = ArraySampler(
            particles, shape, "particles", name="particles"
        )
        self._rounds = self.add_weight(
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            name="rounds",
        )
        self._trajectory = Trajectory(shape=(len(self._rows), *shape))

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Returns the discriminator's output at `x`."""
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
            discriminator_warmup: The first that many batches of the model's
                life train the discriminator only.
            step_size: How far particles move along the velocity in a round: a
                positive float in data units per unit of velocity, or a
                `keras.optimizers.schedules` object of the round. Required.
            normalize_velocity: Whether to divide the velocity by its mean
                length over the particles, so that `step_size` is a length.
            temperature: Size of the Langevin noise, at least 0. Noise of
                temperature `t` adds `t` times the negative entropy to what the
                flow minimizes: with the mapping `"identity"`,
                `KL(q|p) + t E_q log q`.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`, as
                in `keras.Model.compile`.

        Raises:
            ValueError: If a name is unknown, a mapping is not increasing, or
                a number is out of range.
        """
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
            potential,
            penalty,
            TrainingChoices(
                role=self.role,
                discriminator_steps=discriminator_steps,
                split_batch=split_batch,
                discriminator_warmup=discriminator_warmup,
                step_size=step_size,
                normalize_velocity=normalize_velocity,
                temperature=temperature,
            ),
            **kwargs,
        )

    @property
    def _discriminator_optimizer(self):
        return self.optimizer

    @property
    def rounds_counter(self) -> keras.Variable:
        return self._rounds

    @property
    def rounds(self) -> int:
        """How many rounds the particles have moved or waited, an integer."""
        return int(ops.convert_to_numpy(self._rounds))

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
        rng = np.random.default_rng(random_seed() if seed is None else seed)
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
        rows = {"rows": len(self._rows)}
        return {**super().get_config(), "particles": rows}

    def _compile_arguments(self):
        return {
            **super()._compile_arguments(),
            "discriminator_optimizer": serialize(self.optimizer),
            "discriminator_loss": keras.saving.serialize_keras_object(
                self.discriminator_loss
            ),
            **self.choices.arguments("temperature"),
        }

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["rounds"] = self.rounds
        store["trajectory"] = self.trajectory
        store["trajectory_rounds"] = self.trajectory_rounds

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self._rounds.assign(np.array(store["rounds"]))
        self._trajectory.set(store["trajectory_rounds"], store["trajectory"])
