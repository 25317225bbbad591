"""How a generator learns the moves of its samples."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_monoflow import gradients
from keras_monoflow.models.rounds import (
    regularization,
    sample_axes,
    with_labels,
)
from keras_monoflow.numerics import at_least_float32


class LearnsTheMoves:
    """The generator's half of a round: the persistent step of W1-FE."""

    def _draw(self, n, seed, labels=None, training=True):
        inputs = with_labels(self.prior.draw(n, seed), labels)
        network = self.generator if training else self._best_generator
        return network(inputs, training=training)

    def _shared_batch(self, size, labels):
        return self._generate(size, labels) if self.reuse_generated else None

    def _move_samples(self, size, labels, shared):
        """The persistent step of W1-FE for any potential.

        One latent batch, one velocity, and `persistency` fits to the samples
        moved along it (arXiv 2405.16351, Algorithm 1).
        """
        batch = shared or self._generate(size, labels)
        y = at_least_float32(batch.samples)
        velocity = self._velocity_at(y, labels)
        step_size = self._current_step_size()
        step = step_size * velocity
        # The first fit reuses the forward pass that made y, where the residual
        # is the step itself. Only the persistent loss scales with the step.
        force = step if self.update == "persistent" else velocity
        n = ops.cast(ops.shape(y)[0], y.dtype)
        self._apply_to_generator(batch, -force / n)
        if self.persistency > 1:
            loss_of = self._fit_loss(y, step, step_size, labels)
            gradients.repeat(
                self.persistency - 1, lambda i: self._fit(batch.inputs, loss_of)
            )
        batch.commit()
        self._average()

    def _generate(self, size, labels):
        """One generated batch, ready to be pulled back to the weights.

        The updates of the generator's state (batch statistics, dropout
        seeds) wait for `commit`: every fit of a round then sees the same
        state, and the statistics advance once a round.
        """
        latent = self.prior.draw(size, self.seed_generator)
        inputs = with_labels(latent, labels)
        (samples, pullback), commit = gradients.postpone_updates(
            lambda: gradients.value_and_pullback(
                lambda: self.generator(inputs, training=True),
                self.generator.trainable_variables,
            )
        )
        return _Generated(inputs, samples, pullback, commit)

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

    def _fit_loss(self, y, step, step_size, labels):
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
        potential = self._frozen_potential(labels)
        if self.update == "naive":
            return lambda x: -ops.mean(potential(x))
        return lambda x: half_square(x - y) / step_size - ops.mean(potential(x))

    def _fit(self, inputs, loss_of):
        """One optimizer step with the same inputs and frozen state."""
        run = gradients.discard_updates(
            lambda: at_least_float32(self.generator(inputs, training=True))
        )
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables

        def loss_fn():
            samples = run()
            loss = loss_of(samples)
            self._log(samples, regression_loss=loss)
            return optimizer.scale_loss(loss + regularization(self.generator))

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)


class _Generated(NamedTuple):
    """A batch of generated samples and how it was made."""

    inputs: Any
    samples: Any
    pullback: Callable
    commit: Callable
