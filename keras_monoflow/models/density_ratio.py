"""The potential of MonoFlow: a mapping of the log density ratio."""

import keras
import numpy as np
from keras import ops

from keras_monoflow import losses, mappings
from keras_monoflow.backend import processes
from keras_monoflow.models import checks
from keras_monoflow.models.rounds import with_labels


class FollowsDensityRatio:
    """The part of a flow model that knows `V = h(log(p_data / p_gen))`."""

    def _set_potential(self, mapping, discriminator_loss):
        self.mapping = mappings.get(mapping)
        self.discriminator_loss = losses.get(discriminator_loss, self.mapping)
        for thing, argument in self._user_objects():
            checks.check_registered(thing, argument)

    def objective(self, real_output, fake_output):
        return self.discriminator_loss(real_output, fake_output)

    def potential_of(self, output, fake_output=None):
        """Returns `V = h(log_ratio(output))`."""
        return self.discriminator_loss.potential(
            self.mapping, output, fake_output
        )

    def log_ratio(self, x, labels=None):
        """Returns the estimate of `log(p_data / p_gen)` at `x`.

        Args:
            x: Array `(n, *sample_shape)`.
            labels: Labels of the samples, for a conditional model.

        Returns:
            A NumPy array `(n,)`.
        """
        labels = self._check_own_labels(labels, len(x))
        inputs = with_labels(np.asarray(x, "float32"), labels)
        with processes.local(self.discriminator.variables):
            output = self.discriminator(inputs, training=False)
        ratio = self.discriminator_loss.log_ratio(
            output, self._reference_output()
        )
        return ops.convert_to_numpy(ops.stop_gradient(ratio)).reshape(-1)

    def _reference_output(self):
        if not isinstance(self.discriminator_loss, losses.DonskerVaradhanLoss):
            return None
        generated = self._reference_samples()
        return self.discriminator(generated, training=False)

    def _reference_samples(self):
        """Generated samples, with their labels if they have any."""
        if not self.conditional:
            return self.sample(1024, seed=0)
        labels = self.labels.draw(1024, seed=0)
        return [self.sample(1024, seed=0, labels=labels), labels]

    def _whole_batch_parts(self):
        loss = self.discriminator_loss
        logarithm = isinstance(loss, losses.DonskerVaradhanLoss)
        mine = [f"discriminator_loss={loss.name!r}"] if logarithm else []
        return [*super()._whole_batch_parts(), *mine]

    def _log_outputs(self, batch, real_output, fake_output):
        log_ratio = self.discriminator_loss.log_ratio
        self._log(
            batch,
            log_ratio_real=ops.mean(log_ratio(real_output, fake_output)),
            log_ratio_fake=ops.mean(log_ratio(fake_output, fake_output)),
        )

    def _compile_arguments(self):
        return {
            **super()._compile_arguments(),
            "mapping": mappings.serialize(self.mapping),
            "discriminator_loss": keras.saving.serialize_keras_object(
                self.discriminator_loss
            ),
        }

    def _user_objects(self):
        mapping = getattr(self, "mapping", mappings.Identity())
        thing = mapping
        if isinstance(mapping, mappings.FunctionMapping):
            thing = mapping.function
        elif not isinstance(mapping, type):
            thing = type(mapping)
        return [*super()._user_objects(), (thing, "mapping")]
