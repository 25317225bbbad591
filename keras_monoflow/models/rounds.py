"""One round of training, written once for every flow and every backend."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.models import checks
from keras_monoflow.numerics import at_least_float32


class TrainsInRounds:
    """The training half of an adversarial model: what a batch of data does."""

    def train_step(self, *arguments):
        return gradients.train_step(self, self._round, arguments)

    def _round(self, data):
        """The discriminator learns, then the generator follows the flow.

        During the first `discriminator_warmup` rounds of the model's life the
        discriminator learns alone.
        """
        real = self._real_batch(data)
        size = self._slice_size(real)
        shared = self._generate(size) if self.reuse_generated else None

        def discriminator_step(i):
            if shared:
                generated = shared.samples
            else:
                z = self.prior.draw(size, self.seed_generator)
                generated = self.generator(z, training=True)
            batch = self._slice(real, i, size)
            self._discriminator_step(batch, at_least_float32(generated))

        gradients.repeat(self.discriminator_steps, discriminator_step)
        gradients.only_if(
            self._is_warm(),
            lambda: self._generator_steps(shared or self._generate(size)),
        )
        self.optimizer.count_round()
        return self._log_means.results()

    def _is_warm(self):
        if not self.discriminator_warmup:
            return True
        rounds = ops.convert_to_tensor(self.optimizer.iterations)
        return rounds >= self.discriminator_warmup

    def _generate(self, size):
        """One generated batch, ready to be pulled back to the weights.

        The updates of the generator's state (batch statistics, dropout
        seeds) wait for `commit`: every fit of a round then sees the same
        state, and the statistics advance once a round.
        """
        latent = self.prior.draw(size, self.seed_generator)
        (samples, pullback), commit = gradients.postpone_updates(
            lambda: gradients.value_and_pullback(
                lambda: self.generator(latent, training=True),
                self.generator.trainable_variables,
            )
        )
        return _Generated(latent, samples, pullback, commit)

    def _discriminator_step(self, real, generated):
        optimizer = self.optimizer.discriminator
        variables = self.discriminator.trainable_variables

        def loss_fn():
            real_output = self.discriminator(real, training=True)
            fake_output = self.discriminator(generated, training=True)
            loss = self.objective(real_output, fake_output)
            self._log(real, **{f"{self.role}_loss": loss})
            self._log_outputs(real, real_output, fake_output)
            loss = loss + _regularization(self.discriminator)
            if self.penalties:
                penalty = self._penalty(real, generated)
                self._log(real, penalty=penalty)
                loss = loss + penalty
            return optimizer.scale_loss(loss)

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _frozen_discriminator(self, x):
        """Runs it in training mode, and keeps none of its updates."""
        run = gradients.discard_updates(self.discriminator)
        return run(x, training=True)

    def _penalty(self, real, generated):
        frozen, seed = self._frozen_discriminator, self.seed_generator
        return sum(p(frozen, real, generated, seed) for p in self.penalties)

    def _generator_steps(self, batch):
        """The persistent step of W1-FE for any potential.

        One latent batch, one velocity, and `persistency` fits to the samples
        moved along it (arXiv 2405.16351, Algorithm 1).
        """
        y = at_least_float32(batch.samples)
        potential, velocity = gradients.value_and_input_gradient(
            self._frozen_potential, y
        )
        speed = ops.sqrt(ops.sum(velocity**2, axis=_sample_axes(y)))
        self._log(
            y,
            generator_loss=-ops.mean(potential),
            velocity_norm=ops.mean(speed),
        )
        if self.normalize_velocity:
            tiny = keras.config.epsilon()
            velocity = velocity / ops.maximum(ops.mean(speed), tiny)
        step_size = self._current_step_size()
        step = step_size * velocity
        # The first fit reuses the forward pass that made y, where the residual
        # is the step itself. Only the persistent loss scales with the step.
        force = step if self.update == "persistent" else velocity
        n = ops.cast(ops.shape(y)[0], y.dtype)
        self._apply_to_generator(batch, -force / n)
        if self.persistency > 1:
            loss_of = self._fit_loss(y, step, step_size)
            gradients.repeat(
                self.persistency - 1, lambda i: self._fit(batch.latent, loss_of)
            )
        batch.commit()

    def _frozen_potential(self, x):
        return self.potential_of(self._frozen_discriminator(x))

    def _fit_loss(self, y, step, step_size):
        """Returns the loss of the moved samples that the fits minimise.

        - `persistent`: `1/2 |target - x|^2`, the target `y + step` held fixed;
        - `naive`: `-V(x)`, the plain loss again;
        - `proximal`: `-V(x) + |x - y|^2 / (2 step_size)`, the JKO step.
        """
        target = ops.stop_gradient(y + step)

        def half_square(difference):
            squared = ops.sum(difference**2, axis=_sample_axes(y))
            return ops.mean(squared) / 2

        if self.update == "persistent":
            return lambda x: half_square(target - x)
        if self.update == "naive":
            return lambda x: -ops.mean(self._frozen_potential(x))
        return lambda x: (
            half_square(x - y) / step_size - ops.mean(self._frozen_potential(x))
        )

    def _fit(self, latent, loss_of):
        """One optimizer step with the same latent batch and frozen state."""
        run = gradients.discard_updates(
            lambda: at_least_float32(self.generator(latent, training=True))
        )
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables

        def loss_fn():
            loss = loss_of(run())
            self._log(latent, regression_loss=loss)
            return optimizer.scale_loss(loss + _regularization(self.generator))

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _apply_to_generator(self, batch, cotangent):
        """One optimizer step along the pullback of a cotangent."""
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables
        cotangent = optimizer.scale_loss(cotangent)
        grads = batch.pullback(ops.cast(cotangent, batch.samples.dtype))
        if any(v.regularizer is not None for v in variables):
            _, extra = gradients.value_and_grad(
                lambda: optimizer.scale_loss(_regularization(self.generator)),
                variables,
            )
            grads = [g + e for g, e in zip(grads, extra)]
        gradients.apply_gradients(optimizer, grads, variables)

    def _current_step_size(self):
        if callable(self.step_size):
            return self.step_size(self.optimizer.iterations)
        return self.step_size

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


class _Generated(NamedTuple):
    """A batch of generated samples and how it was made."""

    latent: Any
    samples: Any
    pullback: Callable
    commit: Callable


def _regularization(network):
    """The weight regularization losses of a network, a float32 scalar."""
    total = ops.zeros((), "float32")
    for v in network.trainable_variables:
        if v.regularizer is not None:
            total = total + ops.cast(v.regularizer(v.value), "float32")
    return total


def _sample_axes(x):
    return tuple(range(1, len(x.shape)))
