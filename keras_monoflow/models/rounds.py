"""One round of training, written once for every flow and every backend."""

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
        """Discriminator steps, then the generator follows the flow.

        The generator's part is the persistent step of W1-FE (arXiv 2405.16351,
        Algorithm 1) for any potential: one latent batch, one velocity, and
        `persistency` fits to the same moved samples.
        """
        real = self._real_batch(data)
        size = self._slice_size(real)
        if self.reuse_generated:
            latent, samples, pullback, commit = self._generate(size)

        def discriminator_step(i):
            if self.reuse_generated:
                generated = samples
            else:
                z = self.prior.draw(size, self.seed_generator)
                generated = self.generator(z, training=True)
            batch = self._slice(real, i, size)
            self._discriminator_step(batch, at_least_float32(generated))

        gradients.repeat(self.discriminator_steps, discriminator_step)
        if not self.reuse_generated:
            latent, samples, pullback, commit = self._generate(size)
        self._generator_step(latent, samples, pullback)
        commit()
        self.optimizer.count_round()
        return self._log_means.results()

    def _generate(self, size):
        """One generated batch, ready to be pulled back to the weights.

        The updates of the generator's state (batch statistics, dropout
        seeds) wait for `commit`: every fit of a round then sees the same
        state, and the statistics advance once a round.
        """
        latent = self.prior.draw(size, self.seed_generator)
        run = gradients.postpone_updates(
            lambda: gradients.value_and_pullback(
                lambda: self.generator(latent, training=True),
                self.generator.trainable_variables,
            )
        )
        (samples, pullback), commit = run
        return latent, samples, pullback, commit

    def _discriminator_step(self, real, generated):
        optimizer = self.optimizer.discriminator
        variables = self.discriminator.trainable_variables

        def loss_fn():
            real_output = self.discriminator(real, training=True)
            fake_output = self.discriminator(generated, training=True)
            loss = self.objective(real_output, fake_output)
            self._log(real, discriminator_loss=loss)
            self._log_outputs(real, real_output, fake_output)
            loss = loss + _regularization(self.discriminator)
            if self.penalties:
                penalty = self._penalty(real, generated)
                self._log(real, penalty=penalty)
                loss = loss + penalty
            return optimizer.scale_loss(loss)

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _penalty(self, real, generated):
        frozen = gradients.discard_updates(
            lambda x: self.discriminator(x, training=True)
        )
        seed = self.seed_generator
        return sum(p(frozen, real, generated, seed) for p in self.penalties)

    def _generator_step(self, latent, samples, pullback):
        y = at_least_float32(samples)
        potential, velocity = self._potential_and_velocity(y)
        speed = ops.sqrt(ops.sum(velocity**2, axis=_sample_axes(y)))
        self._log(
            y,
            generator_loss=-ops.mean(potential),
            velocity_norm=ops.mean(speed),
        )
        step = self._current_step_size() * velocity
        # The first fit reuses the forward pass that made y: the residual is
        # the step itself.
        n = ops.cast(ops.shape(y)[0], y.dtype)
        self._apply_to_generator(samples, -step / n, pullback)
        if self.persistency > 1:
            target = ops.stop_gradient(y + step)
            gradients.repeat(
                self.persistency - 1, lambda i: self._fit(latent, target)
            )

    def _potential_and_velocity(self, y):
        """`V(y)` of a frozen discriminator, and its gradient at each sample."""
        frozen = gradients.discard_updates(
            lambda x: self.discriminator(x, training=True)
        )
        return gradients.value_and_input_gradient(
            lambda x: self.potential_of(frozen(x)), y
        )

    def _fit(self, latent, target):
        """One optimizer step on `mean 1/2 |target - G(z)|^2`."""
        run = gradients.discard_updates(
            lambda: at_least_float32(self.generator(latent, training=True))
        )
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables

        def loss_fn():
            squared = (target - run()) ** 2
            loss = ops.mean(ops.sum(squared, axis=_sample_axes(target))) / 2
            return optimizer.scale_loss(loss + _regularization(self.generator))

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _apply_to_generator(self, samples, cotangent, pullback):
        """One optimizer step along the pullback of a cotangent."""
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables
        cotangent = optimizer.scale_loss(cotangent)
        grads = pullback(ops.cast(cotangent, samples.dtype))
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
            checks.check_split(size, steps)
        return size // steps

    def _slice(self, real, i, size):
        if not self.split_batch:
            return real
        start = (i * size,) + (0,) * (len(real.shape) - 1)
        return ops.slice(real, start, (size, *real.shape[1:]))


def _regularization(network):
    """The weight regularization losses of a network, a float32 scalar."""
    total = ops.zeros((), "float32")
    for v in network.trainable_variables:
        if v.regularizer is not None:
            total = total + ops.cast(v.regularizer(v.value), "float32")
    return total


def _sample_axes(x):
    return tuple(range(1, len(x.shape)))
