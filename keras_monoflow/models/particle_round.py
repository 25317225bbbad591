"""A round in which the samples themselves move."""

from keras import ops

from keras_monoflow.models.batch import Batch
from keras_monoflow.models.forward_euler import euler_step
from keras_monoflow.models.round import Round
from keras_monoflow.models.trained import Generated
from keras_monoflow.typing import Tensor


class ParticleRound(Round):
    """A round in which all particles take an Euler step themselves."""

    def draw(self, batch: Batch) -> Tensor:
        """Returns as many particles as a batch has samples."""
        return self.model.draw(batch.size, self.seed)

    def train_generator(
        self, batch: Batch, generated: Generated | None = None
    ) -> None:
        """Moves all particles, for they are the samples."""
        rows = self.model._rows
        x = ops.convert_to_tensor(rows.values)
        velocity = self.velocity(x, batch)
        moved = euler_step(
            x,
            velocity / self.unit_of_speed(velocity),
            self.step_size(),
            self.choices.temperature,
            self.model.seed_generator,
        )
        rows.values.assign(moved)
