"""What a particle flow remembers of its way."""

import keras
import numpy as np


class Trajectory:
    """Positions of particles after some of the rounds.

    Args:
        shape: Shape of the array of all particles.
    """

    def __init__(self, shape):
        self.set(np.zeros(0, "int64"), np.zeros((0, *shape), "float32"))

    def set(self, rounds, positions):
        """Replaces everything, from arrays or what a file holds."""
        self._rounds = [int(r) for r in np.asarray(rounds)]
        self._positions = np.array(positions, "float32")
        self._new = []

    def append(self, round_, positions):
        if round_ not in self._rounds[-1:]:
            self._rounds.append(round_)
            self._new.append(positions)

    @property
    def rounds(self):
        return np.array(self._rounds, "int64")

    @property
    def positions(self):
        if self._new:
            self._positions = np.concatenate(
                [self._positions, np.stack(self._new)]
            )
            self._new = []
        return self._positions


class Record(keras.callbacks.Callback):
    """Appends the positions to a trajectory every so many rounds."""

    def __init__(self, trajectory, every):
        super().__init__()
        self._trajectory = trajectory
        self._every = every
        self._epoch_start = self._last = None

    def on_epoch_begin(self, epoch, logs=None):
        rounds = self.model.rounds
        self._epoch_start = self._last = rounds
        if rounds % self._every == 0:
            self._trajectory.append(rounds, self.model.particles)

    def on_train_batch_end(self, batch, logs=None):
        rounds = self._epoch_start + batch + 1
        # A compiled call may run several rounds (`steps_per_execution`).
        if rounds // self._every > self._last // self._every:
            self._trajectory.append(rounds, self.model.particles)
        self._last = rounds
