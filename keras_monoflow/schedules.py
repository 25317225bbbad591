"""Schedules: numbers that change from round to round, or with samples seen.

Learning rates, `beta_2` of `kmf.optimizers.Adam`, step sizes, the weights of
penalties and averaging take them, as they take any of
`keras.optimizers.schedules`. A learning rate and `beta_2` count the updates
of their optimizer, which are `persistency` in a round for the generator's and
`discriminator_steps` for the other; all else counts rounds.
"""

import inspect
from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.typing import Config, Tensor

__all__ = ["Cosine", "InSamples"]


def value_at(value: Any, step: Any, dtype: Any = "float32") -> Any:
    """Returns a number as it is, or what a schedule says at a step, a tensor.

    Args:
        value: Number, or a function of the step.
        step: Integer, variable or scalar tensor.
        dtype: That of the tensor.
    """
    return ops.cast(value(step), dtype) if callable(value) else value


def user_objects(value: Any, argument: str) -> list[tuple[Any, str]]:
    """Returns what must be registered with Keras for a number or schedule to be
    saved, each with the name of its argument: a function, or a class."""
    if isinstance(value, InSamples):
        return user_objects(value.schedule, argument)
    if not callable(value):
        return []
    return [(value if inspect.isroutine(value) else type(value), argument)]


@keras.saving.register_keras_serializable("keras_monoflow")
class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """From `start` to `end` along half a cosine, and `end` from then on.

        end + (start - end) (1 + cos(pi min(t / duration, 1))) / 2

    `keras.optimizers.schedules.CosineDecay` multiplies its first value, and so
    cannot begin at 0.

    Args:
        start: Float, the first value.
        end: Float, the last value.
        duration: Positive number of steps `t` between them.

    Raises:
        TypeError, ValueError: If an argument is not a number, or `duration` is
            not positive.

    Example:

    ```python
    import keras_monoflow as kmf

    gamma = kmf.schedules.Cosine(0.05, 0.005, duration=1000)
    penalty = kmf.penalties.R1(gamma)
    ```
    """

    def __init__(self, start: float, end: float, duration: float) -> None:
        self.start = check_number("start of Cosine", start)
        self.end = check_number("end of Cosine", end)
        self.duration = check_number("duration of Cosine", duration, above=0)

    def __call__(self, step: Any) -> Tensor:
        done = ops.cast(step, "float32") / self.duration
        done = ops.clip(done, 0.0, 1.0)
        share = (1.0 + ops.cos(3.141592653589793 * done)) / 2
        return self.end + (self.start - self.end) * share

    def get_config(self) -> Config:
        return {
            "start": self.start,
            "end": self.end,
            "duration": self.duration,
        }


@keras.saving.register_keras_serializable("keras_monoflow")
class InSamples(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of the number of samples seen, `schedule(samples t)`.

    Args:
        schedule: A `keras.optimizers.schedules` object, whose durations are
            numbers of samples.
        samples: How many samples a step `t` stands for: the batch size. For
            the generator's learning rate with `persistency=K`, a Kth of it.

    Raises:
        TypeError, ValueError: If `schedule` is not a schedule, or `samples` is
            not a positive number.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    rate = kmf.schedules.Cosine(2e-4, 5e-5, duration=2e7)
    optimizer = keras.optimizers.Adam(kmf.schedules.InSamples(rate, 512), 0.0)
    ```
    """

    def __init__(self, schedule: Any, samples: float) -> None:
        if isinstance(schedule, dict):
            schedule = keras.saving.deserialize_keras_object(schedule)
        if not callable(schedule):
            raise TypeError(
                "`schedule` of InSamples must be a `keras.optimizers.schedules`"
                f" object. Received: schedule={schedule!r}."
            )
        self.schedule = schedule
        self.samples = check_number("samples of InSamples", samples, above=0)

    def __call__(self, step: Any) -> Tensor:
        return self.schedule(ops.cast(step, "float32") * self.samples)

    def get_config(self) -> Config:
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "samples": self.samples}
