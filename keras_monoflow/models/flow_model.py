"""The base of all models whose samples follow a flow."""

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_monoflow import augmentation, entrywise, gradients, penalties, terms
from keras_monoflow.arguments import check_integer
from keras_monoflow.backend import keras_internals, replicas
from keras_monoflow.models import (
    data_checks,
    network_checks,
    network_shapes,
)
from keras_monoflow.models.evaluation import Evaluation
from keras_monoflow.models.exact_saving import ExactSaving
from keras_monoflow.models.fits_data import FitsData
from keras_monoflow.models.packs import ONE_BY_ONE
from keras_monoflow.models.parts import ONE
from keras_monoflow.models.potential_field import PotentialField
from keras_monoflow.models.refinement import Refinement
from keras_monoflow.models.round import Round, with_labels
from keras_monoflow.models.sample_field import SampleField
from keras_monoflow.models.space import SAMPLES
from keras_monoflow.optimizers import scale_losses
from keras_monoflow.typing import ArrayLike, Seed, Tensor


def _choice(name):
    """An attribute that shows what `compile` was told; `None` before it."""
    return property(lambda model: getattr(model.choices, name, None))


class FlowModel(FitsData, Refinement, Evaluation, ExactSaving):
    """Samples that climb the potential of a discriminator, or follow a velocity
    from samples.

    What a batch of data does is told in `round.py`, and in `sample_round.py`
    where there is no discriminator. A subclass says what `compile` takes, and

    - `draw(n, seed, labels, training)`, which samples there are;
    - `sample_shape`, their shape, and `sample_owner`, what has it;
    - `round_class`, if they move in another way than a generator's;
    - `rounds_counter` and the optimizers.

    Keras writes what public attributes hold to files under their names: one
    that holds a network or an optimizer may not be added without care.

    Args:
        networks: Dictionary of built `keras.Model`s by attribute name. The
            `discriminator`, if there is one, goes from samples to `(batch, 1)`
            or `(batch,)`, to `(batch, ..., 1)`, or to a list or dictionary.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.
    """

    #: What arguments, logs and files call the discriminator.
    role = "discriminator"

    #: The largest number of samples, where there is one.
    max_samples: Any = None

    #: Whether the networks take labels beside their inputs.
    conditional = False

    #: What moves the samples.
    round_class: type[Round] = Round

    #: How many samples the discriminator sees at once.
    packs = ONE_BY_ONE

    #: How the tensors of a sample, or of a condition, become one row.
    parts = conditions = ONE

    #: Whether the discriminator takes the conditions of a conditional model.
    discriminator_is_conditional = True

    #: What penalties remember from step to step, layers.
    penalty_states: list

    #: The network that tells samples where to move, where there is one.
    #: (PyTorch finds a value of the class before that of an object.)
    discriminator: Any

    discriminator_steps = _choice("discriminator_steps")
    split_batch = _choice("split_batch")
    discriminator_warmup = _choice("discriminator_warmup")
    step_size = _choice("step_size")
    normalize_velocity = _choice("normalize_velocity")

    def __init__(
        self,
        networks: dict[str, keras.Model],
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        has_discriminator = "discriminator" in networks
        for attribute, network in networks.items():
            argument = self.role if attribute == "discriminator" else attribute
            network_checks.check_network(network, argument)
            gradients.use_seed_states(network)
            setattr(self, attribute, network)
        if not has_discriminator:
            self.discriminator = None
        else:
            network_checks.check_outputs(self.discriminator, self.role)
            network_checks.warn_if_squashed(self.discriminator, self.role)
        if seed is not None:
            seed = check_integer("seed", seed, minimum=0)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(
            self.seed, name="noise"
        )
        self.evaluation_seed = keras.random.SeedGenerator(0, name="evaluation")
        #: The arguments of `compile` that say what a round does.
        self.choices: Any = None  # TrainingChoices
        #: What the discriminator learns, and what samples climb.
        self.flow_potential: Any = None  # Potential
        #: What moves samples where there is no discriminator.
        self.sample_velocity: Any = None  # velocities.Velocity
        self.penalties: list = []
        #: What the generator minimizes beside the flow, `GeneratorTerm`s.
        self.generator_terms: list = []
        #: What changes samples before the discriminator sees them.
        self.augment: Any = None  # augmentation.Augment
        self.augment_state: Any = None
        self._field: Any = (
            PotentialField if has_discriminator else SampleField
        )(self)
        self._round: Any = None  # Round
        #: The mean of the weights of samples, where it is known.
        self.mean_weight: float | None = None
        self._taken_for_granted: Any = None
        #: The callback of the last `fit` whose values `evaluate` returns too.
        self.distribution_metrics = None
        self.built = True

    # ------------------------------------------- what subclasses must say

    def draw(
        self,
        n: Any,
        seed: Seed,
        labels: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Returns `n` generated samples, of these labels if there are any."""
        raise NotImplementedError

    @property
    def rounds_counter(self) -> keras.Variable:
        """The variable that counts rounds."""
        raise NotImplementedError

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return network_shapes.input_shape(self.discriminator, self.role)

    @property
    def sample_owner(self) -> str:
        """What error messages say that samples must fit."""
        return self.role

    @property
    def _discriminator_optimizer(self):
        """The optimizer of the discriminator, with loss scaling."""
        return None

    def _discriminator_networks(self):
        """The networks that the discriminator's optimizer trains."""
        return [] if self.discriminator is None else [self.discriminator]

    def _trained_networks(self):
        """The optimizer and the networks of each role."""
        networks = self._discriminator_networks()
        if not networks:
            return {}
        return {self.role: (self._discriminator_optimizer, networks)}

    def space(self, real: Tensor) -> Any:
        """Returns the space in which samples move.

        Args:
            real: The real samples of the batch.
        """
        return SAMPLES

    def discriminator_variables(self) -> list[keras.Variable]:
        """The trainable variables of these networks."""
        return [
            v
            for n in self._discriminator_networks()
            for v in n.trainable_variables
        ]

    def discriminate(
        self,
        real: Tensor,
        generated: Tensor,
        labels: Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Returns the outputs on real and on generated samples; with `pack`,
        one for each group. They are what the discriminator returns, with
        patches and heads.

        Raises:
            ValueError: If there is no discriminator.
        """
        if self.discriminator is None:
            raise ValueError(
                f"This {type(self).__name__} has no discriminator. See "
                "`velocity` for where samples move."
            )
        return tuple(
            self.discriminator(
                self.discriminator_inputs(x, labels), training=training
            )
            for x in (real, generated)
        )

    def discriminator_inputs(self, x: Tensor, labels: Tensor | None) -> Any:
        """Returns what the discriminator is given to judge rows of samples."""
        return self.inputs_of_groups(
            self.packs.join(x), self.packs.join(labels)
        )

    def inputs_of_groups(self, groups: Tensor, labels: Tensor | None) -> Any:
        """Returns what the discriminator is given to judge groups of samples,
        and of their labels."""
        if not self.discriminator_is_conditional:
            labels = None
        return with_labels(
            self.parts.split(groups, self.packs),
            self.conditions.split(labels, self.packs),
        )

    @property
    def estimates_ratio(self) -> bool:
        """Whether `log_ratio` is known, after `compile`."""
        return self._field.estimates_ratio

    @property
    def needs_reference(self) -> bool:
        """Whether `velocity` needs rows of the data, which are not known: see
        `set_reference`."""
        return self._field.needs_reference

    def set_reference(
        self, x: ArrayLike, labels: ArrayLike | None = None
    ) -> None:
        """Sets the rows of the data with which `velocity`, `log_ratio` and
        `refine` compare samples, for flows that do: those from samples, and
        the mapping `"relativistic"`. `fit` does so by itself; a model that was
        loaded from a file needs it.

        Args:
            x: Array `(rows, *sample_shape)`; at most 1024 rows are kept.
            labels: Their labels, for a conditional model.

        Raises:
            ValueError: If the flow compares samples with no data, or the
                shapes do not fit.
        """
        self._field.set_reference(x, labels)

    @property
    def velocity_is_field(self) -> bool:
        """Whether `velocity` is a function of a point, to be drawn anywhere,
        and not one of a whole generated batch."""
        return self._field.is_field

    @property
    def mapping(self) -> Any:
        """The mapping of `compile`, `None` for flows that have none."""
        source = self.flow_potential or self.sample_velocity
        return getattr(source, "mapping", None)

    @property
    def discriminator_loss(self) -> Any:
        """What the discriminator minimizes, `None` before `compile`."""
        return getattr(self.flow_potential, "loss", None)

    # ------------------------------------------------------------- compile

    def _compile(
        self,
        optimizer,
        choices,
        potential=None,
        penalty=None,
        augment=None,
        velocity=None,
        log_names=(),
        head_weights=None,
        generator_terms=None,
        **kwargs,
    ):
        """What the `compile` of all subclasses shares.

        Args:
            optimizer: The model's one optimizer, already built.
            choices: A `TrainingChoices`.
            potential: A `keras_monoflow.potentials.Potential`, with a
                discriminator.
            penalty: As in `compile`, with a discriminator.
            augment: As in `compile`, with a discriminator.
            velocity: A `keras_monoflow.velocities.Velocity`, without one.
            log_names: More names of logs.
            head_weights: As in `compile`, with a discriminator.
            generator_terms: As in `compile`, with both networks.
            **kwargs: Arguments of `keras.Model.compile`, which are checked.
        """
        self._forget_training_states()
        self.augment = augmentation.get(augment)
        if self.augment is not None:
            self._check_augment()
        self.penalties = penalties.get(penalty)
        penalties.check_together(self.penalties)
        self._set_potential(potential, head_weights)
        self.sample_velocity = velocity
        self.choices = choices
        self._set_terms(generator_terms)
        for thing, argument in self._user_objects():
            network_checks.warn_if_unregistered(thing, argument)
        names = [*self._field.log_names(), *log_names, "velocity_norm"]
        names += ["penalty"] if self.penalties else []
        for term in self.generator_terms:
            if term.name in names:
                raise ValueError(
                    f"The name {term.name!r} of one of `generator_terms` is "
                    "that of another log. Pass another `name` to it."
                )
            names.append(term.name)
        self._trainer_arguments = dict(kwargs)
        super().compile(optimizer=optimizer, auto_scale_loss=False, **kwargs)
        self._take_for_granted(None)
        self._round = self.round_class(self, names)
        # Layers, so that Keras finds and saves what they remember.
        states: list = list(self._round.penalty_states.values())
        self.penalty_states = [s for s in states if s is not None]
        if self._round.augment_state is not None:
            self.augment_state = self._round.augment_state

    def _check_augment(self):
        if self.parts.are_several:
            raise ValueError(
                "`augment` changes samples that are one tensor, and these have "
                f"several parts. Received: augment={self.augment!r}. Let the "
                "discriminator begin with layers that change its inputs."
            )
        self.augment.check(self.sample_shape)

    def _set_potential(self, potential, head_weights=None):
        if potential is not None:
            shapes = network_shapes.output_shape(self.discriminator)
            potential = entrywise.for_outputs(potential, shapes, head_weights)
        self.flow_potential = potential

    def _set_terms(self, generator_terms):
        self.generator_terms = terms.get(generator_terms)
        if self.choices.generator_warmup and not self.generator_terms:
            raise ValueError(
                "`generator_warmup` trains the generator on `generator_terms` "
                "alone, of which there are none. Received: generator_warmup="
                f"{self.choices.generator_warmup}."
            )
        for term in self.generator_terms:
            if term.needs_pairs and not self.conditional:
                raise ValueError(
                    f"{type(term).__name__} compares each generated sample "
                    "with the real one of the same condition, but this "
                    f"{type(self).__name__} has no conditions: let the "
                    "networks take `[z, y]` and `[x, y]`."
                )

    def _forget_training_states(self):
        """Lets go of what an earlier `compile` has begun to remember."""
        states = [*getattr(self, "penalty_states", ()), self.augment_state]
        for state in states:
            if state is not None:
                keras_internals.forget_layer(self, state)
        self.augment_state = None

    def _check_compiled(self, method):
        if not self.compiled:
            raise ValueError(
                f"Call `compile` of {type(self).__name__} before `{method}`: "
                "it takes the optimizers, the losses and all training choices."
            )

    def _scaled_for_float16(self, optimizer):
        """Wraps an optimizer in loss scaling if a network needs it."""
        needs_it = network_checks.any_in_float16(self._networks())
        return scale_losses(optimizer) if needs_it else optimizer

    # --------------------------------------------------------------- steps

    def train_step(self, *arguments: Any) -> Any:
        return gradients.train_step(self, self._train_on, arguments)

    def _train_on(self, data):
        batch = self._batch(data)
        rows = ops.shape(batch.samples)[0]
        replicas.check_equal(rows)
        if self.conditional:
            self.labels.update(batch.labels)
        if self.choices.split_batch:
            steps = self.choices.discriminator_steps
            data_checks.check_split(rows, steps, self.role)
            batch = dataclasses.replace(batch, slices=steps)
        data_checks.check_packs(batch.size, self.packs.size)
        self._round(batch)
        return self._round.logs()

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._round.metrics.values()) if self._round else []

    def current_step_size(self) -> Any:
        """Returns the step size of the round that comes, a number or a scalar
        tensor."""
        self._check_compiled("current_step_size")
        return self._round.step_size()

    def make_train_function(self, force: bool = False) -> Any:
        return self._remake(
            "train_function",
            super().make_train_function,
            gradients.make_train_function,
            force,
        )

    def _take_for_granted(self, mean_weight):
        """Has the step compiled anew if what it does not look at again has
        changed: the mean of weights, and what is trainable."""
        self.mean_weight = mean_weight
        taken = (mean_weight, *map(id, self.trainable_variables))
        if taken != self._taken_for_granted:
            self._taken_for_granted = taken
            self.train_function = None

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As in Keras."""
        self._check_compiled("train_on_batch")
        if self.mean_weight is not None:
            self._take_for_granted(None)
        with gradients.keep_variables(self):
            return super().train_on_batch(*args, **kwargs)

    def optimizers_by_argument(self) -> dict[str, keras.optimizers.Optimizer]:
        """The optimizers by the names of their arguments of `compile`."""
        if self._discriminator_optimizer is None:
            return {}
        return {f"{self.role}_optimizer": self._discriminator_optimizer}
