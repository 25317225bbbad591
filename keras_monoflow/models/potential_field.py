"""Where samples move if a discriminator tells them, as it stands."""

from typing import Any

import keras
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.backend import processes
from keras_monoflow.models.batch import Batch
from keras_monoflow.models.reference_rows import (
    REFERENCE_ROWS,
    ReferenceRows,
)
from keras_monoflow.numerics import mean
from keras_monoflow.typing import Config, Tensor


class PotentialField:
    """`grad V` of the discriminator's output, in inference mode.

    A `FlowModel` has a field, which answers whatever is asked about given
    samples: by `velocity`, `log_ratio`, `refine` and `evaluate`. It is this
    one, or a `SampleField`.

    Args:
        model: A `FlowModel` with a `discriminator`. The field asks it for
            this, `discriminate`, `discriminator_inputs`, `flow_potential`,
            `penalties`, `sample`, `max_samples`, `conditional`, `labels`,
            `packs` and `role`.
    """

    #: Logs of a round that are not computed on held-out data.
    training_logs = ("penalty", "velocity_norm", "regression_loss")

    def __init__(self, model: Any) -> None:
        self.model = model
        self._rows = ReferenceRows(model)

    @property
    def needs_reference(self) -> bool:
        """Whether rows of the data are needed and not known."""
        potential = self.model.flow_potential
        needs = potential is not None and potential.needs_real_output
        return needs and not self._rows.are_known

    @property
    def is_field(self) -> bool:
        """Whether it is a function of one sample, not of a whole group."""
        return self.model.packs.size == 1

    @property
    def is_ready(self) -> bool:
        """Whether it knows how samples move."""
        return self.model.flow_potential is not None

    @property
    def estimates_ratio(self) -> bool:
        """Whether `log_ratio` is known."""
        return self.is_ready and self.model.flow_potential.estimates_ratio

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
        """Keeps some rows of data, if the flow compares samples with them."""
        if self._compares_with_data:
            self._rows.remember(x, y)

    def set_reference(self, x: Any, labels: Any = None) -> None:
        """Keeps some rows of an array, with their labels or `None`.

        Raises:
            ValueError: If they do not fit the model, or have no meaning for it.
        """
        potential = self.model.flow_potential
        if potential is None or not self._compares_with_data:
            raise ValueError(
                "`set_reference` has no meaning here: the discriminator alone "
                "tells where samples move, and the data do not."
            )
        self._rows.set(x, labels)

    def reference(self) -> Config:
        """Returns the outputs that the potential needs besides those on the
        samples, on generated and on real ones, by the names of arguments."""
        potential = self.model.flow_potential
        outputs: Config = {}
        if potential.needs_reference:
            outputs["reference_output"] = self._output_on_generated()
        if potential.needs_real_output:
            real = self._rows.get("This flow")
            outputs["real_output"] = self._output(*real)
        return outputs

    def _output(self, x: Any, labels: Any) -> Tensor:
        x = ops.cast(ops.convert_to_tensor(x), "float32")
        if labels is not None:
            labels = ops.convert_to_tensor(labels)
        inputs = self.model.discriminator_inputs(x, labels)
        return self.model.discriminator(inputs, training=False)

    @property
    def _compares_with_data(self) -> bool:
        """Whether rows of the data are needed, or conditions beside them."""
        potential = self.model.flow_potential
        return potential.needs_real_output or (
            potential.needs_reference and self.model.conditional
        )

    def _output_on_generated(self) -> Tensor:
        n = min(REFERENCE_ROWS, self.model.max_samples or REFERENCE_ROWS)
        labels: Any = None
        if self.model.conditional and self.model.labels.seen:
            labels = self.model.labels.draw(n, seed=0)
        elif self.model.conditional:
            _, labels = self._rows.get("This flow")
            labels = labels[:n]
            n = len(labels)
        known = {} if labels is None else {"labels": labels}
        samples = self.model.parts.join(self.model.sample(n, seed=0, **known))
        return self._output(samples, labels)

    def velocity(self, x: Tensor, labels: Any, reference: Any) -> Tensor:
        """Returns where samples move, a tensor of their shape.

        Args:
            x: Samples, `(n, *sample_shape)`.
            labels: Their labels or `None`.
            reference: What `reference` returned.
        """
        if labels is not None:
            labels = ops.convert_to_tensor(labels)
        discriminator, packs = self.model.discriminator, self.model.packs

        def potential(x):
            inputs = self.model.discriminator_inputs(x, labels)
            output = discriminator(inputs, training=False)
            return self.model.flow_potential.value(output, **reference)

        with processes.local(discriminator.variables):
            velocity = gradients.input_gradient(potential, x)
        return velocity * packs.share(len(x), velocity.dtype)

    def log_ratio(self, x: Any, labels: Any, reference: Any) -> Tensor:
        """Returns the log density ratio at samples; arguments as above.

        Raises:
            ValueError: If the flow estimates none.
        """
        with processes.local(self.model.discriminator.variables):
            output = self._output(x, labels)
        reference_output = reference.get("reference_output")
        ratio = self.model.flow_potential.log_ratio(output, reference_output)
        return self.model.packs.spread(ratio, len(x))

    def losses(self, batch: Batch, generated: Tensor) -> dict[str, Tensor]:
        """Returns scalars by name: how the flow judges held-out samples.

        Args:
            batch: A `Batch` of real samples.
            generated: As many generated ones, in at least float32.
        """
        model, potential = self.model, self.model.flow_potential
        outputs = model.discriminate(batch.samples, generated, batch.labels)
        weights = batch.sample_weights()
        loss = potential.objective(
            *outputs, batch.samples, generated, **weights
        )
        known = {"real_output": outputs[0]}
        known = known if potential.needs_real_output else {}
        values = potential.value(outputs[1], **known)
        return {
            f"{model.role}_loss": loss,
            **potential.logs(*outputs, **weights),
            "generator_loss": -mean(values, weights.get("fake_weight")),
        }
