"""What a particle flow remembers of its way."""

from typing import Any

import keras
import numpy as np

from keras_monoflow.typing import Array, ArrayLike


class Trajectory:
    """Positions of particles after some of the rounds.

    Args:
        shape: Shape of the array of all particles.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.set(np.zeros(0, "int64"), np.zeros((0, *shape), "float32"))

    def set(self, rounds: ArrayLike, positions: ArrayLike) -> None:
        """Replaces everything, from arrays or what a file holds."""
        self._rounds = [int(r) for r in np.asarray(rounds)]
        self._positions = np.array(positions, "float32")
        self._new: list[Array] = []

    def append(self, round_: int, positions: Array) -> None:
        if round_ not in self._rounds[-1:]:
            self._rounds.append(round_)
            self._new.append(positions)

    @property
    def rounds(self) -> Array:
        return np.array(self._rounds, "int64")

    @property
    def positions(self) -> Array:
        if self._new:
            self._positions = np.concatenate(
                [self._positions, np.stack(self._new)]
            )
            self._new = []
        return self._positions


class Record(keras.callbacks.Callback):
    """Appends the positions to a trajectory every so many rounds."""

    def __init__(self, trajectory: Trajectory, every: int) -> None:
        super().__init__()
        self._trajectory = trajectory
        self._every = every
        self._epoch_start = self._last = 0

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        rounds = self.model.rounds
        self._epoch_start = self._last = rounds
        if rounds % self._every == 0:
            self._trajectory.append(rounds, self.model.particles)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        rounds = self._epoch_start + batch + 1
        # A compiled call may run several rounds (`steps_per_execution`).
        if rounds // self._every > self._last // self._every:
            self._trajectory.append(rounds, self.model.particles)
        self._last = rounds
