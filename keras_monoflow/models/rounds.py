"""One round of training, written once for every flow and every backend."""

import keras
from keras import ops

from keras_monoflow import gradients
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
        real = self._real_batch(data)
        size = self._slice_size(real)
        shared = self._shared_batch(size)

        def discriminator_step(i):
            if shared:
                generated = shared.samples
            else:
                generated = self._draw(size, self.seed_generator, training=True)
            batch = self._slice(real, i, size)
            self._discriminator_step(batch, at_least_float32(generated))

        gradients.repeat(self.discriminator_steps, discriminator_step)
        gradients.only_if(
            self._is_warm(), lambda: self._move_samples(size, shared)
        )
        self._count_round()
        return self._log_means.results()

    # ------------------------------------------- what subclasses must say

    def _draw(self, n, seed, training):
        """Returns `n` generated samples."""
        raise NotImplementedError

    def _shared_batch(self, size):
        """Returns generated samples for all steps of a round, or `None`."""
        return None

    def _move_samples(self, size, shared):
        """Follows the velocity of the frozen discriminator for one step."""
        raise NotImplementedError

    # ------------------------------------------------- the discriminator

    def _is_warm(self):
        if not self.discriminator_warmup:
            return True
        rounds = ops.convert_to_tensor(self._rounds)
        return rounds >= self.discriminator_warmup

    def _discriminator_step(self, real, generated):
        optimizer = self._discriminator_optimizer
        networks = self._discriminator_networks()
        variables = [v for n in networks for v in n.trainable_variables]

        def loss_fn():
            loss = self._discriminator_loss(real, generated, training=True)
            loss = loss + sum(regularization(n) for n in networks)
            if self.penalties:
                penalty = self._penalty(real, generated)
                self._log(real, penalty=penalty)
                loss = loss + penalty
            return optimizer.scale_loss(loss)

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _discriminator_loss(self, real, generated, training):
        """Returns the objective on two batches, and logs what it tells."""
        real_output = self.discriminator(real, training=training)
        fake_output = self.discriminator(generated, training=training)
        loss = self.objective(real_output, fake_output)
        self._log(real, **{f"{self.role}_loss": loss})
        self._log_outputs(real, real_output, fake_output)
        return loss

    def _frozen_discriminator(self, x):
        """Runs it in training mode, and keeps none of its updates."""
        run = gradients.discard_updates(self.discriminator)
        return run(x, training=True)

    def _penalty(self, real, generated):
        frozen, seed = self._frozen_discriminator, self.seed_generator
        return sum(p(frozen, real, generated, seed) for p in self.penalties)

    # ------------------------------------------------------ the velocity

    def _frozen_potential(self, x):
        return self.potential_of(self._frozen_discriminator(x))

    def _velocity_at(self, y):
        """Returns `grad V(y)` of the frozen discriminator, in data units."""
        potential, velocity = gradients.value_and_input_gradient(
            self._frozen_potential, y
        )
        speed = ops.sqrt(ops.sum(velocity**2, axis=sample_axes(y)))
        self._log(
            y,
            generator_loss=-ops.mean(potential),
            velocity_norm=ops.mean(speed),
        )
        if self.normalize_velocity:
            tiny = keras.config.epsilon()
            velocity = velocity / ops.maximum(ops.mean(speed), tiny)
        return velocity

    def _current_step_size(self):
        if callable(self.step_size):
            return self.step_size(self._rounds)
        return self.step_size

    # ---------------------------------------------------------- the data

    def _real_batch(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        for extra in (y, weight):
            checks.check_unlabelled(extra, type(self).__name__)
        return ops.cast(x, "float32")

    def _slice_size(self, real):
        """How many samples one discriminator step sees."""
        size = ops.shape(real)[0]
        if not self.split_batch:
            return size
        steps = self.discriminator_steps
        if isinstance(size, int):
            checks.check_split(size, steps, self.role)
        return size // steps

    def _slice(self, real, i, size):
        if not self.split_batch:
            return real
        start = (i * size,) + (0,) * (len(real.shape) - 1)
        return ops.slice(real, start, (size, *real.shape[1:]))


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
