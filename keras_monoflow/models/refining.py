"""Moving given samples along the flow of a trained discriminator."""

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.arguments import check_integer
from keras_monoflow.backend import processes
from keras_monoflow.models import checks
from keras_monoflow.models.rounds import langevin_step, with_labels


class Refines:
    """The part of a flow model that looks at given samples."""

    def velocity(self, x, labels=None):
        """Returns `grad V(x)`, the direction in which samples move.

        Args:
            x: Array `(n, *sample_shape)`.
            labels: Labels of the samples, for a conditional model.

        Returns:
            A NumPy array of the same shape.
        """
        labels = self._check_own_labels(labels, len(x))
        velocity = self._inference_velocity(
            ops.cast(x, "float32"), labels, self._reference_output()
        )
        return ops.convert_to_numpy(ops.stop_gradient(velocity))

    def _inference_velocity(self, x, labels, fake_output):
        if labels is not None:
            labels = ops.convert_to_tensor(labels)
        with processes.local(self.discriminator.variables):
            return gradients.input_gradient(
                lambda x: self.potential_of(
                    self.discriminator(with_labels(x, labels), training=False),
                    fake_output,
                ),
                x,
            )

    def _check_own_labels(self, labels, n):
        """Returns the labels of `n` samples as an array, or `None`."""
        checks.check_labels(labels, self.conditional, type(self).__name__)
        return self.labels.check(labels, n) if self.conditional else None

    def refine(
        self,
        samples,
        labels=None,
        steps=20,
        step_size=None,
        temperature=0.0,
        seed=None,
        batch_size=256,
    ):
        """Moves samples of any model along the flow of the discriminator.

        Discriminator gradient flow: `steps` times

            x <- x + step_size grad V(x) + sqrt(2 temperature step_size) xi

        with `xi` standard normal. The discriminator stays as it is, so its
        log ratio is that of the data to the samples *it was trained on*: give
        it samples of that distribution, and few and small steps.

        Args:
            samples: Array `(n, *sample_shape)`. It is left unchanged.
            labels: Labels of the samples, for a conditional model.
            steps: How many steps.
            step_size: A positive float in data units per unit of velocity.
                The default is that of `compile`.
            temperature: Size of the noise, at least 0; 0 for none.
            seed: Integer seed of the noise, or `None`.
            batch_size: How many samples to move at once.

        Returns:
            A NumPy array of the shape of `samples`.

        Raises:
            ValueError: If a number is out of range, or the shapes do not fit.

        Source: Ansari et al. 2021, arXiv 2012.00780, with `V` in the place of
        the potential of an f-divergence.
        """
        check_integer("steps", steps, minimum=0)
        check_integer("batch_size", batch_size, minimum=1)
        if step_size is None:
            step_size = self._current_step_size()
        else:
            step_size = checks.check_step_size(step_size)
        temperature = checks.check_temperature(temperature)
        samples = np.asarray(ops.convert_to_numpy(samples), "float32")
        checks.check_data(
            samples,
            checks.input_shape(self.discriminator, self.role),
            len(samples),
            "samples",
        )
        labels = self._check_own_labels(labels, len(samples))
        if not len(samples):
            return samples.copy()
        seed = keras.random.SeedGenerator(seed)
        fake_output = self._reference_output()
        refined = []
        for start in range(0, len(samples), batch_size):
            part = slice(start, start + batch_size)
            x = ops.convert_to_tensor(samples[part])
            their = None if labels is None else labels[part]
            for _ in range(steps):
                velocity = self._inference_velocity(x, their, fake_output)
                x = langevin_step(x, velocity, step_size, temperature, seed)
                x = ops.stop_gradient(x)
            refined.append(ops.convert_to_numpy(x))
        return np.concatenate(refined)
