"""Names for the types that annotations of the package use."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

#: A tensor of the running backend; NumPy arrays are converted.
Tensor: TypeAlias = Any

#: A NumPy array, of any shape and type.
Array: TypeAlias = np.ndarray

#: Anything that NumPy turns into an array.
ArrayLike: TypeAlias = Any

#: The same number draws the same noise each time; a generator goes on.
Seed: TypeAlias = int | keras.random.SeedGenerator | None

#: A function like those of `keras.random`: `f(shape, dtype=..., seed=...)`.
RandomFunction: TypeAlias = Callable[..., Tensor]

#: What `get_config` returns and Keras writes to files.
Config: TypeAlias = dict[str, Any]

#: An optimizer, its name or its configuration.
OptimizerLike: TypeAlias = Any

#: Numbers that change with the round.
Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule

#: Scalars by the names under which they are logged.
Logs: TypeAlias = dict[str, Tensor]
