"""One round of training, written once for every flow and every backend."""

import keras
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.backend import replicas
from keras_monoflow.models import checks
from keras_monoflow.numerics import at_least_float32


class TrainsInRounds:
    """The training half of a flow model: what a batch of data does.

    Subclasses say where generated samples come from (`_draw`) and how they
    move (`_move_samples`).
    """

    def train_step(self, *arguments):
        return gradients.train_step(self, self._round, arguments)

    def _round(self, data):
        """The discriminator learns, then the samples follow the flow.

        During the first `discriminator_warmup` rounds of the model's life the
        discriminator learns alone.
        """
        real, labels = self._real_batch(data)
        replicas.check_equal(ops.shape(real)[0])
        if self.conditional:
            self.labels.see(labels)
        size = self._slice_size(real)
        # Generated samples have the labels of the data beside them.
        first_labels = self._slice(labels, 0, size)
        shared = self._shared_batch(size, first_labels)

        def discriminator_step(i):
            batch, their = (self._slice(a, i, size) for a in (real, labels))
            if shared:
                generated = shared.samples
            else:
                generated = self._draw(size, self.seed_generator, their)
            self._discriminator_step(batch, at_least_float32(generated), their)

        gradients.repeat(self.discriminator_steps, discriminator_step)
        gradients.only_if(
            self._is_warm if self.discriminator_warmup else True,
            lambda: self._move_samples(size, first_labels, shared),
            self._all_variables,
        )
        self._count_round()
        return self._log_means.results()

    def _all_variables(self):
        if not self.compiled:
            return self.variables
        return gradients.all_variables(self)

    # ------------------------------------------- what subclasses must say

    def _draw(self, n, seed, labels=None, training=True):
        """Returns `n` generated samples, of these labels if there are any."""
        raise NotImplementedError

    def _shared_batch(self, size, labels):
        """Returns generated samples for all steps of a round, or `None`."""
        return None

    def _move_samples(self, size, labels, shared):
        """Follows the velocity of the frozen discriminator for one step."""
        raise NotImplementedError

    # ------------------------------------------------- the discriminator

    def _is_warm(self):
        rounds = ops.convert_to_tensor(self._rounds)
        return rounds >= self.discriminator_warmup

    def _discriminator_step(self, real, generated, labels):
        optimizer = self._discriminator_optimizer
        networks = self._discriminator_networks()
        variables = self._discriminator_variables()

        def loss_fn():
            loss = self._discriminator_loss(real, generated, labels, True)
            loss = loss + sum(regularization(n) for n in networks)
            if self.penalties:
                penalty = self._penalty(real, generated, labels)
                self._log(real, penalty=penalty)
                loss = loss + penalty
            return optimizer.scale_loss(loss)

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _discriminator_loss(self, real, generated, labels, training):
        """Returns the objective on two batches, and logs what it tells."""
        real_output, fake_output = (
            self.discriminator(with_labels(x, labels), training=training)
            for x in (real, generated)
        )
        loss = self.objective(real_output, fake_output)
        self._log(real, **{f"{self.role}_loss": loss})
        self._log_outputs(real, real_output, fake_output)
        return loss

    def _frozen_discriminator(self, labels):
        """A function of samples that runs it in training mode, and keeps none
        of its updates."""
        run = gradients.discard_updates(self.discriminator)
        return lambda x: run(with_labels(x, labels), training=True)

    def _penalty(self, real, generated, labels):
        frozen, seed = self._frozen_discriminator(labels), self.seed_generator
        return sum(p(frozen, real, generated, seed) for p in self.penalties)

    # ------------------------------------------------------ the velocity

    def _frozen_potential(self, labels):
        frozen = self._frozen_discriminator(labels)
        return lambda x: self.potential_of(frozen(x))

    def _velocity_at(self, y, labels=None):
        """Returns `grad V(y)` of the frozen discriminator, in data units."""
        potential, velocity = gradients.value_and_input_gradient(
            self._frozen_potential(labels), y
        )
        speed = ops.sqrt(ops.sum(velocity**2, axis=sample_axes(y)))
        self._log(
            y,
            generator_loss=-ops.mean(potential),
            velocity_norm=ops.mean(speed),
        )
        if self.normalize_velocity:
            tiny = keras.config.epsilon()
            (length,) = replicas.mean([ops.mean(speed)])
            velocity = velocity / ops.maximum(length, tiny)
        return velocity

    def _current_step_size(self):
        if callable(self.step_size):
            return self.step_size(self._rounds)
        return self.step_size

    # ---------------------------------------------------------- the data

    def _real_batch(self, data):
        """Returns samples and labels; `None` where there are no labels."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        checks.check_labels(y, self.conditional, type(self).__name__)
        checks.check_unweighted(weight, type(self).__name__)
        return ops.cast(x, "float32"), y

    def _slice_size(self, real):
        """How many samples one discriminator step sees."""
        size = ops.shape(real)[0]
        if not self.split_batch:
            return size
        steps = self.discriminator_steps
        if isinstance(size, int):
            checks.check_split(size, steps, self.role)
        return size // steps

    def _slice(self, batch, i, size):
        if batch is None or not self.split_batch:
            return batch
        start = (i * size,) + (0,) * (len(batch.shape) - 1)
        return ops.slice(batch, start, (size, *batch.shape[1:]))


def with_labels(x, labels):
    """The inputs of a network: `x`, or `[x, labels]` if there are any."""
    return x if labels is None else [x, labels]


def regularization(network):
    """The weight regularization losses of a network, a float32 scalar."""
    total = ops.zeros((), "float32")
    for v in network.trainable_variables:
        if v.regularizer is not None:
            total = total + ops.cast(v.regularizer(v.value), "float32")
    return total


def langevin_step(x, velocity, step_size, temperature, seed):
    """Returns `x + step_size v + sqrt(2 temperature step_size) xi`.

    Without noise this is forward Euler; `xi` is standard normal.
    """
    x = x + step_size * velocity
    if not temperature:
        return x
    noise = keras.random.normal(ops.shape(x), dtype=x.dtype, seed=seed)
    return x + ops.sqrt(2.0 * temperature * step_size) * noise


def sample_axes(x):
    """The axes of one sample in a batch."""
    return tuple(range(1, len(x.shape)))
