"""Where samples move if a velocity from samples tells them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.backend import processes
from keras_monoflow.models.batch import Batch
from keras_monoflow.models.reference_rows import ReferenceRows
from keras_monoflow.models.round import mean_speed
from keras_monoflow.models.sample_velocity import velocity_in_space
from keras_monoflow.typing import Config, Tensor
from keras_monoflow.velocities.neighbors import Neighbors
from keras_monoflow.velocities.pairs import Pairs

#: The seed of the generated samples that rows of the data are compared with;
#: no other look takes the same.
REFERENCE_SEED = 1_618_033


class SampleField:
    """A `keras_monoflow.velocities.Velocity`, against rows of the data.

    It answers what a `PotentialField` answers. Since a velocity compares
    samples with others, it keeps some rows of the data of the last `fit`.

    Args:
        model: A `FlowModel`. The field asks it for `sample_velocity`,
            `choices`, `space`, `parts`, `features`, `sample`, `draw`,
            `evaluation_seed` and `max_samples`.
    """

    training_logs = ("regression_loss",)

    def __init__(self, model: Any) -> None:
        self.model = model
        self._rows = ReferenceRows(model)

    @property
    def is_ready(self) -> bool:
        return self.model.sample_velocity is not None

    @property
    def is_field(self) -> bool:
        return self.model.sample_velocity.is_field

    @property
    def needs_reference(self) -> bool:
        return not self._rows.are_known

    @property
    def estimates_ratio(self) -> bool:
        return hasattr(self.model.sample_velocity, "log_ratio")

    def log_names(self) -> list[str]:
        return list(self.model.sample_velocity.log_names)

    def arguments(self) -> Config:
        velocity = self.model.sample_velocity
        return {"velocity": keras.saving.serialize_keras_object(velocity)}

    def user_objects(self) -> list[tuple[Any, str]]:
        velocity = self.model.sample_velocity
        return [] if velocity is None else velocity.user_objects()

    def remember(self, x: Any, y: Any) -> None:
        """Keeps some rows of data, unless a look would use them up."""
        self._rows.remember(x, y)

    def set_reference(self, x: Any, labels: Any = None) -> None:
        """Keeps some rows of an array, with their labels or `None`.

        Raises:
            ValueError: If they do not fit the model.
        """
        self._rows.set(x, labels)

    def reference(self) -> Any:
        """Returns real rows, their labels, generated rows and theirs.

        Raises:
            ValueError: If no rows of the data are known.
        """
        real, labels = self._rows.get("A velocity from samples")
        n = min(len(real), self.model.max_samples or len(real))
        known = {} if labels is None else {"labels": labels[:n]}
        generated = self.model.sample(n, seed=REFERENCE_SEED, **known)
        generated = self.model.parts.join(generated)
        return real, labels, generated, known.get("labels")

    def velocity(self, x: Tensor, labels: Any, reference: Any) -> Tensor:
        with processes.local(self._feature_variables()):
            return self._velocity(x, labels, *reference)

    def _feature_variables(self):
        features = getattr(self.model, "features", None)
        return [] if features is None else features.variables

    def _velocity(self, x, labels, real, real_labels, other, other_labels):
        space = self.model.space(ops.convert_to_tensor(real))
        moved, _ = velocity_in_space(
            self.model.sample_velocity,
            space,
            space.position(x),
            space.real_position(real),
            space.position(ops.convert_to_tensor(other)),
            generated_labels=None if labels is None else np.asarray(labels),
            real_labels=real_labels,
            other_labels=other_labels,
            guidance=self.model.choices.guidance,
            seed=0,
        )
        return space.pull_back(moved, x)

    def log_ratio(self, x: Any, labels: Any, reference: Any) -> Tensor:
        velocity = self.model.sample_velocity
        if not self.estimates_ratio:
            raise ValueError(
                f"{type(velocity).__name__} estimates no density ratio. Take "
                "`kmf.velocities.KernelRatio`, or see `velocity` for where "
                "samples move."
            )
        real, real_labels, other, other_labels = reference
        space = self.model.space(ops.convert_to_tensor(real))
        rows = (
            space.maps(space.position(ops.cast(x, "float32"))),
            space.maps(space.real_position(real)),
            space.maps(space.position(ops.convert_to_tensor(other))),
        )
        labels = None if labels is None else np.asarray(labels)
        ratios = []
        for of_map in zip(*rows):
            pairs = velocity.pairs(*of_map, labels, real_labels, other_labels)
            ratios.append(
                velocity.log_ratio(_OthersThanItself(**vars(pairs)))[0]
            )
        return sum(ratios) / len(ratios)

    def losses(self, batch: Batch, generated: Tensor) -> dict[str, Tensor]:
        model, velocity = self.model, self.model.sample_velocity
        space, other = model.space(batch.samples), None
        if velocity.uses_second_batch:
            other = model.draw(batch.size, model.evaluation_seed, batch.labels)
            other = space.position(other)
        moved, logs = velocity_in_space(
            velocity,
            space,
            space.position(generated),
            space.real_position(batch.samples),
            other,
            generated_labels=batch.labels,
            real_labels=batch.labels,
            guidance=model.choices.guidance,
            seed=model.evaluation_seed,
        )
        return {**logs, "velocity_norm": mean_speed(moved)}


class _OthersThanItself(Pairs):
    """Pairs without those of a sample and itself, which would say that it has a
    high density."""

    def neighbors(self, rows: Any = None) -> tuple[Neighbors, Neighbors]:
        real, other = map(_without_itself, super().neighbors(rows))
        return real, other


def _without_itself(side: Neighbors) -> Neighbors:
    others = ops.cast(
        side.squared > 1e-6 * ops.mean(side.squared), side.y.dtype
    )
    weights = others if side.weights is None else side.weights * others
    return Neighbors(side.y, side.points, weights)
