"""How a generator learns the moves of its samples."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_monoflow import gradients
from keras_monoflow.models.rounds import regularization, sample_axes
from keras_monoflow.numerics import at_least_float32


class LearnsTheMoves:
    """The generator's half of a round: the persistent step of W1-FE."""

    def _draw(self, n, seed, training):
        return self.generator(self.prior.draw(n, seed), training=training)

    def _shared_batch(self, size):
        return self._generate(size) if self.reuse_generated else None

    def _move_samples(self, size, shared):
        """The persistent step of W1-FE for any potential.

        One latent batch, one velocity, and `persistency` fits to the samples
        moved along it (arXiv 2405.16351, Algorithm 1).
        """
        batch = shared or self._generate(size)
        y = at_least_float32(batch.samples)
        velocity = self._velocity_at(y)
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

    def _apply_to_generator(self, batch, cotangent):
        """One optimizer step along the pullback of a cotangent."""
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables
        cotangent = optimizer.scale_loss(cotangent)
        grads = batch.pullback(ops.cast(cotangent, batch.samples.dtype))
        if any(v.regularizer is not None for v in variables):
            _, extra = gradients.value_and_grad(
                lambda: optimizer.scale_loss(regularization(self.generator)),
                variables,
            )
            grads = [g + e for g, e in zip(grads, extra)]
        gradients.apply_gradients(optimizer, grads, variables)

    def _fit_loss(self, y, step, step_size):
        """Returns the loss of the moved samples that the fits minimise.

        - `persistent`: `1/2 |target - x|^2`, the target `y + step` held fixed;
        - `naive`: `-V(x)`, the plain loss again;
        - `proximal`: `-V(x) + |x - y|^2 / (2 step_size)`, the JKO step.
        """
        target = ops.stop_gradient(y + step)

        def half_square(difference):
            squared = ops.sum(difference**2, axis=sample_axes(y))
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
            return optimizer.scale_loss(loss + regularization(self.generator))

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)


class _Generated(NamedTuple):
    """A batch of generated samples and how it was made."""

    latent: Any
    samples: Any
    pullback: Callable
    commit: Callable
