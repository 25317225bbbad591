"""One round of training, written once for every flow and every backend."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_monoflow import entrywise, gradients
from keras_monoflow.backend import replicas
from keras_monoflow.models.batch import Batch
from keras_monoflow.models.further_terms import FurtherTerms
from keras_monoflow.models.hidden_layers import hidden_layers
from keras_monoflow.models.trained import Generated, Trained, total
from keras_monoflow.numerics import (
    at_least_float32,
    mean,
    one_number,
    weigh_rows,
)
from keras_monoflow.penalties import OutputPenalty, WeightedTerm
from keras_monoflow.schedules import value_at
from keras_monoflow.typing import Tensor


class Round:
    """One round: the discriminator learns, then the samples follow the flow.

    Args:
        model: A `FlowModel`, just compiled. The round asks it for its networks,
            their optimizers, `prior`, `packs`, `parts`, `role`, `augment`,
            `generator_terms`, `generator_inputs`, `discriminate`,
            `seed_generator` and `rounds_counter`, and for the `choices`,
            `flow_potential` and `penalties` of `compile`.
        log_names: Names of the running means that `fit` reports.
    """

    def __init__(
        self, model: Any, log_names: tuple[str, ...] | list[str] = ()
    ) -> None:
        self.model = model
        self.choices = model.choices
        self.potential = model.flow_potential
        self.seed, self.counter = model.seed_generator, model.rounds_counter
        self.discriminator = Trained(
            model._discriminator_networks(), model._discriminator_optimizer
        )
        self.penalty_states = {
            id(penalty): penalty.make_state()
            for penalty in model.penalties
            if isinstance(penalty, OutputPenalty)
        }
        self.augment = model.augment
        self.augment_state = self.augment and self.augment.make_state()
        # Keras neither sees them here nor writes them to files.
        self.metrics = {name: keras.metrics.Mean(name) for name in log_names}

    def __call__(self, batch: Batch) -> None:
        """Algorithm 1 of W1-FE (arXiv 2405.16351), for any potential `V`.

            for each discriminator step:
                x = data,  y = G(z) for new latent points z
                D <- D - rate * grad_D [objective(D(x), D(y)) + penalties]
            y = G(z) for new latent points z
            v = grad V(y)
            target = y + step_size * v                       (held fixed)
            K = persistency times:
                G <- G - rate * grad_G mean 1/2 |target - G(z)|^2

        In the first `discriminator_warmup` rounds of the model's life the
        discriminator learns alone, in the first `generator_warmup` the
        generator, from its further terms.
        """
        choices, first = self.choices, batch.slice(0)
        shared = self.generate(first) if choices.reuse_generated else None

        def discriminator_step(i):
            real = batch.slice(i)
            fake = shared.samples if shared else self.draw(real)
            self.with_due_penalties(
                functools.partial(
                    self.train_discriminator, real, at_least_float32(fake)
                )
            )

        gradients.only_if(
            self.has_flow if choices.generator_warmup else True,
            lambda: gradients.repeat(
                choices.discriminator_steps, discriminator_step
            ),
            lambda: gradients.all_variables(self.model),
        )
        gradients.only_if(
            self.is_warm if choices.discriminator_warmup else True,
            lambda: self.train_generator(first, shared),
            lambda: gradients.all_variables(self.model),
        )
        self.counter.assign_add(1)

    def has_flow(self) -> Tensor:
        """Whether the generator no longer learns alone."""
        rounds = ops.convert_to_tensor(self.counter)
        return rounds >= self.choices.generator_warmup

    def is_warm(self) -> Tensor:
        """Whether the discriminator no longer learns alone."""
        rounds = ops.convert_to_tensor(self.counter)
        return rounds >= self.choices.discriminator_warmup

    # ---------------------------------------------- step 1: discriminator

    def with_due_penalties(self, step: Callable[[list], None]) -> None:
        """Calls `step` with the penalties of this round.

        Penalties with `every=k` count only in every k-th round, so that one of
        two steps runs: with them, or without.
        """
        penalties = self.model.penalties
        always = [p for p in penalties if p.every == 1]
        if len(always) == len(penalties):
            step(penalties)
            return
        every = max(p.every for p in penalties)

        def is_due():
            return ops.convert_to_tensor(self.counter) % every == 0

        def all_variables():
            return gradients.all_variables(self.model)

        gradients.only_if(is_due, lambda: step(penalties), all_variables)
        gradients.only_if(
            lambda: ops.logical_not(is_due()),
            lambda: step(always),
            all_variables,
        )

    def train_discriminator(
        self, real: Batch, fake: Tensor, penalties: list
    ) -> None:
        """One optimizer step down the objective and the penalties."""
        x, labels = ops.cast(real.samples, fake.dtype), real.labels
        # (Penalties act on what the discriminator sees.)
        x, fake = self.augmented(x), self.augmented(fake)
        weights = real.sample_weights()

        def loss_fn():
            outputs, added = gradients.with_added_losses(
                lambda: self.model.discriminate(x, fake, labels, training=True)
            )
            loss = self.potential.objective(*outputs, x, fake, **weights)
            one_number(loss, f"{self.model.role} loss")
            self.log(x, **{f"{self.model.role}_loss": loss})
            self.log(x, **self.potential.logs(*outputs, **weights))
            if self.augment is not None:
                # (One for each sample of a group.)
                real_output = ops.repeat(
                    entrywise.total(outputs[0]), self.model.packs.size, axis=0
                )
                self.augment.update(self.augment_state, real_output)
            loss = total(loss, added)
            if not self.model.penalties:
                return loss
            penalty = ops.zeros((), loss.dtype)
            for p in penalties:
                value = self.penalty_value(p, x, fake, labels, outputs, weights)
                penalty = penalty + p.every * ops.cast(value, loss.dtype)
            self.log(x, penalty=penalty)
            return loss + penalty

        self.discriminator.step(loss_fn)

    def augmented(self, x: Tensor) -> Tensor:
        """Returns samples as the discriminator sees them."""
        if self.augment is None:
            return x
        probability = self.augment.probability_at(
            self.counter, self.augment_state
        )
        return self.augment.change(x, probability, self.seed)

    def penalty_value(
        self,
        penalty: WeightedTerm,
        x: Tensor,
        fake: Tensor,
        labels: Tensor | None,
        outputs: tuple[Any, Any],
        weights: dict[str, Tensor],
    ) -> Tensor:
        """Returns one penalty with its weight in this round."""
        if isinstance(penalty, OutputPenalty):
            state = self.penalty_states[id(penalty)]
            on_real, on_fake = map(entrywise.total, outputs)
            value = penalty.of_outputs(on_real, on_fake, state, **weights)
        else:
            join = self.model.packs.join
            frozen = self.frozen_discriminator(labels)

            def whole(x):
                heads = frozen(x)
                penalty.check_outputs(keras.tree.flatten(heads))
                return entrywise.total(heads)

            value = penalty.value(
                whole, join(x), join(fake), self.seed, **weights
            )
        one_number(value, f"penalty {type(penalty).__name__}")
        return penalty.weight_at(self.counter, value.dtype) * value

    def draw(self, batch: Batch) -> Tensor:
        """Returns as many generated samples as a batch has, of its labels."""
        latent = self.model.prior.draw(batch.size, self.seed)
        inputs = self.model.generator_inputs(latent, batch.labels)
        samples = self.model.generator(inputs, training=True)
        return self.model.parts.join(samples)

    def frozen_discriminator(
        self, labels: Tensor | None
    ) -> Callable[[Tensor], Any]:
        """A function of its inputs, samples or groups of them, that runs it in
        training mode, and keeps none of its updates."""
        labels = self.model.packs.join(labels)
        run = gradients.discard_updates(self.model.discriminator)
        inputs = self.model.inputs_of_groups
        return lambda x: run(inputs(x, labels), training=True)

    # -------------------------------------------------- step 2: generator

    def train_generator(
        self, batch: Batch, generated: Generated | None = None
    ) -> None:
        """Moves one generated batch, and lets the generator fit the moves."""
        choices = self.choices
        generated = generated or self.generate(batch)
        y = self.position(generated.samples, batch)
        velocity = self.velocity(y, batch)
        unit = self.unit_of_speed(velocity)
        velocity = velocity / unit
        step_size = self.step_size(y.dtype)
        step = step_size * velocity
        # The first fit reuses the forward pass that made y, where the residual
        # is the step itself. Only the persistent loss scales with the step.
        force = step if choices.update == "persistent" else velocity
        size = ops.cast(ops.shape(y)[0], y.dtype)
        weight = batch.sample_weights().get("fake_weight")
        force = weigh_rows(force, weight) / size
        cotangent = self.pull_back(-force, generated.samples, batch)
        terms = FurtherTerms(self, batch)
        if terms.terms:
            flow, has_flow = cotangent, self.has_flow()
            slope, values = terms.gradient(
                generated.samples, flow, has_flow, self.counter
            )
            cotangent = slope + ops.where(has_flow, flow, 0.0)
            self.log(y, **values)
        self.generator.step_along(generated, cotangent)
        if choices.persistency > 1:
            fit_loss = self.fit_loss(y, step, step_size, unit, batch)

            def loss_of(x):
                loss = fit_loss(x)
                self.log(x, regression_loss=loss)
                if not terms.terms:
                    return loss
                return ops.where(has_flow, loss, 0.0) + terms.loss(x)

            gradients.repeat(
                choices.persistency - 1,
                lambda i: self.fit(generated.inputs, loss_of),
            )
        generated.commit()
        if choices.averages:
            rows = batch.size * replicas.count()
            self.model.update_average(rows)

    @functools.cached_property
    def generator(self) -> Trained:
        """The generator in training."""
        return Trained([self.model.generator], self.model._generator_optimizer)

    @functools.cached_property
    def hidden_layers(self) -> keras.Model:
        """What the discriminator's hidden layers make of its inputs."""
        return hidden_layers(self.model.discriminator, self.model.role)

    def generate(self, batch: Batch) -> Generated:
        """One generated batch, ready to be pulled back to the weights.

        The updates of the generator's state (batch statistics, dropout seeds)
        wait for `commit`: every fit of a round then sees the same state, and
        the statistics advance once a round.
        """
        network = self.model.generator
        latent = self.model.prior.draw(batch.size, self.seed)
        inputs = self.model.generator_inputs(latent, batch.labels)

        def run():
            samples, added = gradients.with_added_losses(
                lambda: network(inputs, training=True)
            )
            samples = self.model.parts.join(samples)
            return samples if added is None else [samples, added]

        (outputs, pullback), commit = gradients.postpone_updates(
            lambda: gradients.value_and_pullback(
                run, network.trainable_variables
            )
        )
        adds = isinstance(outputs, list)
        samples, added = outputs if adds else (outputs, None)
        return Generated(inputs, samples, added, pullback, commit)

    def position(self, x: Tensor, batch: Batch) -> Tensor:
        """Returns generated samples as points of the space in which they move:
        here their own, in `sample_round.py` that of features."""
        return at_least_float32(x)

    def pull_back(self, cotangent: Tensor, x: Tensor, batch: Batch) -> Tensor:
        """Returns `J^T cotangent`, `J` the Jacobian of `position` at `x`."""
        return cotangent

    def velocity(self, y: Tensor, batch: Batch) -> Tensor:
        """Returns where samples move: `grad V(y)` of the frozen discriminator.

        A flow without a discriminator computes it from the generated samples
        and the real ones instead (`sample_round.py`).

        Args:
            y: Generated samples, `(n, *sample_shape)`.
            batch: The real `Batch`, with the labels that both share.
        """
        values, velocity = gradients.value_and_input_gradient(
            self.frozen_potential(batch), y
        )
        weight = batch.sample_weights().get("fake_weight")
        self.log(y, generator_loss=-mean(values, weight))
        return velocity * self.model.packs.share(ops.shape(y)[0], y.dtype)

    def frozen_potential(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Returns `V` as a function of samples, one value for each group."""
        frozen = self.frozen_discriminator(batch.labels)

        def output(x):
            return frozen(self.model.packs.join(self.augmented(x)))

        if not self.potential.needs_real_output:
            return lambda x: self.potential.value(output(x))
        real = keras.tree.map_structure(
            ops.stop_gradient, output(batch.samples)
        )
        return lambda x: self.potential.value(output(x), real_output=real)

    def unit_of_speed(self, velocity: Tensor) -> Any:
        """Logs the mean speed; returns it if velocities shall be divided by it,
        else 1."""
        speed = mean_speed(velocity)
        self.log(velocity, velocity_norm=speed)
        if not self.choices.normalize_velocity:
            return 1.0
        (speed,) = replicas.mean([speed])
        return ops.maximum(speed, keras.config.epsilon())

    def step_size(self, dtype: Any = "float32") -> Any:
        """The step size of this round, a number or a scalar tensor."""
        return value_at(self.choices.step_size, self.counter, dtype)

    # ---------------------------------------------------- step 3: one fit

    def fit(self, inputs: Tensor, loss_of: Callable[[Tensor], Tensor]) -> None:
        """One optimizer step of the generator, from the same latent points and
        the same frozen state."""
        network = self.model.generator
        run = gradients.discard_updates(
            lambda: gradients.with_added_losses(
                lambda: at_least_float32(
                    self.model.parts.join(network(inputs, training=True))
                )
            )
        )

        def loss_fn():
            samples, added = run()
            return total(loss_of(samples), added)

        self.generator.step(loss_fn)

    def fit_loss(
        self, y: Tensor, step: Tensor, step_size: Any, unit: Any, batch: Batch
    ) -> Callable[[Tensor], Tensor]:
        """Returns the loss of the generator's samples that the fits minimize.

        - `persistent`: `1/2 |target - x|^2`, the target `y + step` held fixed;
        - `naive`: `-V(x)`, the plain loss again;
        - `proximal`: `-V(x) + |x - y|^2 / (2 step_size)`, the JKO step.

        `V` is divided by the unit of speed, as the velocity is.
        """
        target = ops.stop_gradient(y + step)
        weight = batch.sample_weights().get("fake_weight")

        def half_square(difference):
            squared = ops.sum(difference**2, axis=sample_axes(y))
            return mean(squared, weight) / 2

        if self.choices.update == "persistent":
            return lambda x: half_square(target - self.position(x, batch))
        potential = self.frozen_potential(batch)
        if self.choices.update == "naive":
            return lambda x: -mean(potential(x), weight) / unit

        def proximal(x):
            climbed = mean(potential(x), weight) / unit
            return half_square(x - y) / step_size - climbed

        return proximal

    # --------------------------------------------------------------- logs

    def log(self, batch: Tensor, **values: Tensor) -> None:
        """Adds means over the samples of `batch` to the logs, by name."""
        self.add_means(ops.shape(batch)[0], values)

    def add_means(self, count: Any, values: dict[str, Tensor]) -> None:
        """Adds means to the logs, by name, as those of `count` samples."""
        count = ops.cast(count, "float32")
        for name, value in values.items():
            self.metrics[name].update_state(value, sample_weight=count)

    def logs(self, without: tuple[str, ...] = ()) -> dict[str, Tensor]:
        """Returns the running means by name, but for some."""
        replicas.agree_on_means(self.metrics.values())
        return {
            name: metric.result()
            for name, metric in self.metrics.items()
            if name not in without
        }


def with_labels(x: Tensor | None, labels: Tensor | None) -> Any:
    """The inputs of a network: `x`, labels, or both as `[x, labels]`."""
    if x is None or labels is None:
        return labels if x is None else x
    return [x, labels]


def sample_axes(x: Tensor) -> tuple[int, ...]:
    """The axes of one sample in a batch."""
    return tuple(range(1, len(x.shape)))


def mean_speed(velocity: Tensor) -> Tensor:
    """The mean length of the velocities of samples, a scalar."""
    squares = ops.sum(velocity**2, axis=sample_axes(velocity))
    return ops.mean(ops.sqrt(squares))
