"""One round of training without a discriminator."""

import dataclasses
from typing import Any

from keras import ops

from keras_monoflow.backend import replicas
from keras_monoflow.models.batch import Batch
from keras_monoflow.models.particle_round import ParticleRound
from keras_monoflow.models.round import Round
from keras_monoflow.models.sample_velocity import velocity_in_space
from keras_monoflow.models.space import SAMPLES
from keras_monoflow.typing import Tensor


@dataclasses.dataclass(frozen=True)
class BatchInSpace(Batch):
    """A batch that knows where generated samples move.

    Args:
        space: A `SampleSpace`.
    """

    space: Any = SAMPLES


class FollowsSamples:
    """The half of a round in which real and generated samples tell others where
    to move.

    It reads what a `Round` has: `model`, `choices`, `seed`, `counter`, `log`
    and `train_generator`.
    """

    #: Whether each replica has generated samples of its own.
    divides_samples = True

    model: Any
    choices: Any
    seed: Any
    counter: Any

    def __call__(self, batch: Batch) -> None:
        """The persistent step of W1-FE (arXiv 2405.16351), by a velocity of
        drifting models (arXiv 2602.04770), W-Flow (arXiv 2605.11755), ...

            x = data, y = G(z) and y' = G(z') for new latent points
            v = velocity(y; x, y')
            target = y + step_size * v                       (held fixed)
            K = persistency times:
                G <- G - rate * grad_G mean 1/2 |target - G(z)|^2

        With features `phi`, all of them stand for `phi` of samples.
        """
        space = self.model.space(batch.samples)
        batch = BatchInSpace(batch.samples, batch.labels, space=space)
        self.train_generator(batch)  # type: ignore[attr-defined]
        self.counter.assign_add(1)

    def position(self, x: Tensor, batch: Any) -> Tensor:
        return batch.space.position(x)

    def pull_back(self, cotangent: Tensor, x: Tensor, batch: Any) -> Tensor:
        return batch.space.pull_back(cotangent, x)

    def velocity(self, y: Tensor, batch: Any) -> Tensor:
        """Returns what positions of generated samples move by.

        Where several replicas share a batch, each sees the rows of all.
        """
        space = batch.space
        other, other_labels = self.second_batch(batch)
        real = ops.cast(space.real_position(batch.samples), y.dtype)
        gather = replicas.all_rows if self.divides_samples else lambda x: x
        moved, logs = velocity_in_space(
            self.model.sample_velocity,
            space,
            gather(y),
            replicas.all_rows(real),
            gather(other),
            generated_labels=gather(self.labels_of_generated(batch)),
            real_labels=replicas.all_rows(batch.labels),
            other_labels=gather(other_labels),
            guidance=self.choices.guidance,
            seed=self.seed,
        )
        self.log(y, **logs)  # type: ignore[attr-defined]
        if not self.divides_samples:
            return moved
        return replicas.own_rows(moved, ops.shape(y)[0])

    def labels_of_generated(self, batch: Any) -> Any:
        """Returns the labels of the generated samples that move."""
        return batch.labels

    def second_batch(self, batch: Any) -> tuple[Any, Any]:
        """Returns positions of generated samples that repel, and labels."""
        return None, None


class SampleRound(FollowsSamples, Round):
    """A round of `SampleFlow`."""

    def asked(self, batch: Any) -> BatchInSpace:
        """Returns a batch of as many rows as shall be generated."""
        n, count = self.choices.generated_batch, replicas.count()
        if n is None:
            return batch
        if n % count:
            raise ValueError(
                f"`generated_batch` must be a multiple of {count}, the number "
                f"of replicas. Received: generated_batch={n}."
            )
        rows = n // count
        labels = replicas.all_rows(batch.labels)
        if labels is not None:
            first = replicas.index() * rows if count > 1 else 0
            places = (first + ops.arange(rows)) % ops.shape(labels)[0]
            labels = ops.take(labels, places, axis=0)
        # (Of the samples, their number alone counts.)
        like = ops.zeros((rows, *batch.samples.shape[1:]), batch.samples.dtype)
        return BatchInSpace(like, labels, space=batch.space)

    def generate(self, batch: Any) -> Any:
        return super().generate(self.asked(batch))

    def labels_of_generated(self, batch: Any) -> Any:
        return self.asked(batch).labels

    def second_batch(self, batch: Any) -> tuple[Any, Any]:
        if not self.model.sample_velocity.uses_second_batch:
            return None, None
        asked = self.asked(batch)
        return batch.space.position(self.draw(asked)), asked.labels


class ParticleSampleRound(FollowsSamples, ParticleRound):
    """A round of a `ParticleFlow` without a discriminator: the particles repel
    each other, each without itself."""

    divides_samples = False
