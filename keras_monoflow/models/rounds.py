"""A counter of rounds, for models whose optimizer does not count them."""

from typing import Any

import keras
import numpy as np
from keras import ops


class CountsRounds(keras.Model):
    """The part of a `FlowModel` that counts its rounds in a weight.

    A subclass calls `_start_counting` when it is made.
    """

    def _start_counting(self):
        self._rounds = self.add_weight(
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            name="rounds",
        )

    @property
    def rounds_counter(self) -> keras.Variable:
        """The variable that counts rounds."""
        return self._rounds

    @property
    def rounds(self) -> int:
        """How many rounds there have been, an integer."""
        return int(ops.convert_to_numpy(self._rounds))

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["rounds"] = self.rounds

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self._rounds.assign(np.array(store["rounds"]))
