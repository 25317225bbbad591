"""Where samples move if a discriminator tells them, as it stands."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.backend import processes
from keras_monoflow.models.round import Batch, with_labels
from keras_monoflow.typing import Array, Config, Tensor


class PotentialField:
    """`grad V` of the discriminator's output, in inference mode.

    A `FlowModel` has a field, which answers whatever is asked about given
    samples: by `velocity`, `log_ratio`, `refine` and `evaluate`. It is this
    one, or a `SampleField`.

    Args:
        model: A `FlowModel` with a `discriminator`. The field asks it for
            this, `discriminate`, `flow_potential`, `penalties`, `sample`,
            `max_samples`, `conditional`, `labels` and `role`.
    """

    #: Logs of a round that are not computed on held-out data.
    training_logs = ("penalty", "velocity_norm", "regression_loss")

    #: Whether samples can be moved by it that are not the model's own.
    is_field = True

    #: Whether rows of the data are needed and not known.
    needs_reference = False

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def is_ready(self) -> bool:
        """Whether it knows how samples move."""
        return self.model.flow_potential is not None

    @property
    def estimates_ratio(self) -> bool:
        """Whether `log_ratio` is known."""
        return self.model.flow_potential.estimates_ratio

    def log_names(self) -> list[str]:
        """Returns the names of what a round logs."""
        names = ["generator_loss", f"{self.model.role}_loss"]
        return [*names, *self.model.flow_potential.log_names]

    def arguments(self) -> Config:
        """Returns the arguments of `compile` that made it."""
        serialize = keras.saving.serialize_keras_object
        return {
            "penalty": [serialize(p) for p in self.model.penalties],
            **self.model.flow_potential.arguments(),
        }

    def user_objects(self) -> list[tuple[Any, str]]:
        """Returns what must be registered with Keras for files, each with the
        name of its argument."""
        potential = self.model.flow_potential
        return potential.user_objects() if potential else []

    def remember(self, x: Any, y: Any) -> None:
        """Does nothing: the discriminator is all that it needs of the data."""

    def reference(self) -> Any:
        """Returns what `velocity` and `log_ratio` need besides the samples: the
        output on generated ones, or `None`."""
        if not self.model.flow_potential.needs_reference:
            return None
        n = min(1024, self.model.max_samples or 1024)
        inputs: Array | list[Array]
        if not self.model.conditional:
            inputs = self.model.sample(n, seed=0)
        else:
            labels = self.model.labels.draw(n, seed=0)
            samples = self.model.sample(n, seed=0, labels=labels)
            inputs = [samples, labels]
        return self.model.discriminator(inputs, training=False)

    def velocity(self, x: Tensor, labels: Any, reference: Any) -> Tensor:
        """Returns where samples move, a tensor of their shape.

        Args:
            x: Samples, `(n, *sample_shape)`.
            labels: Their labels or `None`.
            reference: What `reference` returned.
        """
        if labels is not None:
            labels = ops.convert_to_tensor(labels)
        discriminator = self.model.discriminator

        def potential(x):
            output = discriminator(with_labels(x, labels), training=False)
            return self.model.flow_potential.value(output, reference)

        with processes.local(discriminator.variables):
            return gradients.input_gradient(potential, x)

    def log_ratio(self, x: Any, labels: Any, reference: Any) -> Tensor:
        """Returns the log density ratio at samples; arguments as above.

        Raises:
            ValueError: If the flow estimates none.
        """
        inputs = with_labels(np.asarray(x, "float32"), labels)
        discriminator = self.model.discriminator
        with processes.local(discriminator.variables):
            output = discriminator(inputs, training=False)
        return self.model.flow_potential.log_ratio(output, reference)

    def losses(self, batch: Batch, generated: Tensor) -> dict[str, Tensor]:
        """Returns scalars by name: how the flow judges held-out samples.

        Args:
            batch: A `Batch` of real samples.
            generated: As many generated ones, in at least float32.
        """
        model, potential = self.model, self.model.flow_potential
        outputs = model.discriminate(batch.samples, generated, batch.labels)
        loss = potential.objective(*outputs, batch.samples, generated)
        output = model.discriminator(with_labels(generated, batch.labels))
        return {
            f"{model.role}_loss": loss,
            **potential.logs(*outputs),
            "generator_loss": -ops.mean(potential.value(output)),
        }
