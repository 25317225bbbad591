"""What a trained flow says of given samples, and does to them."""

import keras
import numpy as np
from keras import ops

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.models import data_checks, label_checks
from keras_monoflow.models.forward_euler import follow
from keras_monoflow.models.looking import looking, seed_or_random
from keras_monoflow.models.round import mean_speed
from keras_monoflow.models.training_choices import check_temperature
from keras_monoflow.registry import lookup
from keras_monoflow.typing import Array, ArrayLike


class Refinement(keras.Model):
    """The part of a `FlowModel` that looks at given samples.

    It reads `_field`, which knows where samples move, `current_step_size`,
    `sample_shape`, `latent_shape`, `sample_owner`, `conditional`, `labels`,
    `packs`, `parts`, `rows`, `sample_velocity` and `generator_inputs`.
    """

    def velocity(self, x: ArrayLike, labels: ArrayLike | None = None) -> Array:
        """Returns `grad V(x)`, the direction in which samples move.

        A velocity from samples compares `x` with rows of the data of the last
        `fit`, or of `set_reference`, and with as many generated ones. Where it
        is not a field (`Drifting`, `Sinkhorn`, `SlicedWasserstein`), `x` stand
        for a generated batch.

        Args:
            x: Array `(n, *sample_shape)`.
            labels: Labels of the samples, for a conditional model.

        Returns:
            A NumPy array of the same shape, in data units per unit of step.

        Raises:
            ValueError: If the model was not compiled, labels do not fit, or no
                rows of the data are known.
        """
        self._check_ready("velocity")
        x = self.rows(x)
        labels = self._check_own_labels(labels, len(x))
        x = ops.cast(ops.convert_to_tensor(x), "float32")
        with looking(self, seed=0):
            velocity = self._field.velocity(x, labels, self._field.reference())
        velocity = ops.convert_to_numpy(ops.stop_gradient(velocity))
        return self.parts.split(velocity)

    def log_ratio(self, x: ArrayLike, labels: ArrayLike | None = None) -> Array:
        """Returns the estimate of `log(p_data / p_gen)` at `x`.

        Args:
            x: Array `(n, *sample_shape)`.
            labels: Labels of the samples, for a conditional model.

        Returns:
            A NumPy array `(n,)`.

        Raises:
            ValueError: If the flow estimates no density ratio.
        """
        self._check_ready("log_ratio")
        x = self.rows(x)
        labels = self._check_own_labels(labels, len(x))
        with looking(self, seed=0):
            ratio = self._field.log_ratio(x, labels, self._field.reference())
        return ops.convert_to_numpy(ops.stop_gradient(ratio)).reshape(-1)

    def refine(
        self,
        samples: ArrayLike,
        labels: ArrayLike | None = None,
        steps: int = 20,
        step_size: float | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        batch_size: int = 256,
        space: str = "samples",
    ) -> Array:
        """Moves samples of any model along the flow.

        Discriminator gradient flow: `steps` times

            x <- x + step_size grad V(x) + sqrt(2 temperature step_size) xi

        with `xi` standard normal. The discriminator stays as it is, so its
        log ratio is that of the data to the samples *it was trained on*: give
        it samples of that distribution, and few and small steps. A velocity
        from samples stays as it is too: that of the data to the model's own
        samples.

        With `space="latent"` latent points of this model's generator `G` move
        instead, by Langevin steps towards `exp(V(G(z)))` times their normal
        prior, and their samples are returned:

            z <- z + step_size [J^T grad V(G(z)) - z]
                   + sqrt(2 temperature step_size) xi

        These stay samples of the generator, however far the steps go.

        Args:
            samples: Array `(n, *sample_shape)`, or `(n, *latent_shape)` of
                latent points, such as those of `sample_latent`. It is left
                unchanged.
            labels: Labels of the samples, for a conditional model.
            steps: How many steps.
            step_size: A positive float in data units per unit of velocity.
                The default is that of `compile`, or 0.05 for latent points.
                With `normalize_velocity` it is such that the first batch moves
                by that of `compile` in the first step, on average.
            temperature: Size of the noise, at least 0; 0 for none. The default
                is 0, or 1 for latent points.
            seed: Integer seed of the noise. By default
                `keras.utils.set_random_seed` counts.
            batch_size: How many samples to move at once.
            space: `"samples"` or `"latent"`.

        Returns:
            A NumPy array of samples, `(n, *sample_shape)`.

        Raises:
            ValueError: If a number is out of range, the shapes do not fit, or
                there are no latent points with a normal prior.

        Source: Ansari et al. 2021, arXiv 2012.00780, with `V` in the place of
        the potential of an f-divergence; Che et al. 2020, arXiv 2003.06060, for
        latent points.
        """
        self._check_compiled("refine")
        if self.packs.size > 1:
            raise ValueError(
                "`refine` moves samples one by one, but with "
                f"`pack={self.packs.size}` the discriminator sees groups alone."
            )
        if not self._field.is_field:
            raise ValueError(
                f"`refine` needs a velocity that is a field, and that of "
                f"{self.sample_velocity!r} exists for a whole batch of "
                "generated samples alone. Take 'kernel_ratio', 'mmd' or "
                "'energy'."
            )
        check_integer("steps", steps, minimum=0)
        check_integer("batch_size", batch_size, minimum=1)
        latent = lookup(space, {"samples": False, "latent": True}, "space")
        if latent:
            self._check_latent_space(labels)
        is_length = self.choices.normalize_velocity and step_size is None
        if step_size is None:
            step_size = 0.05 if latent else self.current_step_size()
        else:
            step_size = check_number("step_size", step_size, above=0)
        if temperature is None:
            temperature = 1.0 if latent else 0.0
        temperature = check_temperature(temperature)
        if not latent:
            samples = self.rows(samples, "`samples`")
        samples = np.asarray(ops.convert_to_numpy(samples), "float32")
        shape, owner = self.sample_shape, self.sample_owner
        if latent:
            shape, owner = self.latent_shape, "generator"
        data_checks.check_data(samples, shape, owner, len(samples), "samples")
        labels = self._check_own_labels(labels, len(samples))
        seed = seed_or_random(seed)
        with looking(self, seed):
            reference = self._field.reference() if len(samples) else None

            def velocity_at(x, labels):
                if latent:
                    return self._latent_velocity(x, labels, reference)
                return self._field.velocity(x, labels, reference)

            if is_length and len(samples) and not latent:
                first = slice(batch_size)
                speed = mean_speed(
                    velocity_at(
                        ops.convert_to_tensor(samples[first]),
                        None if labels is None else labels[first],
                    )
                )
                step_size /= ops.maximum(speed, keras.config.epsilon())
            moved = follow(
                velocity_at,
                samples,
                labels,
                steps,
                step_size,
                temperature,
                seed,
                batch_size,
            )
        if latent:
            inputs = self.generator_inputs(moved, labels)
            moved = self._generate(inputs, len(moved), batch_size, seed)
        return self.parts.split(moved)

    def _check_latent_space(self, labels):
        """Checks that latent points can move; see `GeneratorModel`."""
        raise ValueError(
            f"{type(self).__name__} has no latent points. Received: "
            "space='latent'."
        )

    def _check_ready(self, method):
        if not self._field.is_ready:
            self._check_compiled(method)

    def _check_own_labels(self, labels, n):
        """Returns the labels of `n` samples as an array, or `None`."""
        if labels is None and not self.discriminator_is_conditional:
            return None
        label_checks.check_labels(labels, self.conditional, type(self).__name__)
        if not self.conditional:
            return None
        one = self.conditions.join_one(labels)
        rows = self.conditions.join(labels) if one is None else one
        labels = self.labels.check(rows, n)
        label_checks.check_label_range(labels, self._networks(), "labels")
        return labels
