"""What `compile` is told about the training of a flow."""

import dataclasses
from typing import Any

import keras

from keras_monoflow.arguments import check_bool, check_integer, check_number
from keras_monoflow.registry import lookup
from keras_monoflow.typing import Config, Schedule
from keras_monoflow.velocities.guidance import check_guidance

UPDATES = ("persistent", "naive", "proximal")


@dataclasses.dataclass(frozen=True)
class TrainingChoices:
    """The arguments of `compile` that say what a round does.

    `MonoFlowGAN.compile` explains each of them.

    Args:
        role: What the model calls its discriminator, as in `critic_steps`.

    Raises:
        TypeError, ValueError: If a value is of another type or out of range.
    """

    role: str
    discriminator_steps: int = 1
    split_batch: bool = False
    discriminator_warmup: int = 0
    generator_warmup: int = 0
    persistency: int = 1
    step_size: float | Schedule = 1.0
    update: str = "persistent"
    normalize_velocity: bool = False
    reuse_generated: bool = False
    ema: float | Schedule | None = None
    ema_half_life: float | Schedule | None = None
    temperature: float = 0.0
    generated_batch: int | None = None
    guidance: float | tuple[float, float] = 1.0

    def __post_init__(self) -> None:
        checked = {
            "discriminator_steps": check_integer(
                f"{self.role}_steps", self.discriminator_steps, minimum=1
            ),
            "split_batch": check_bool("split_batch", self.split_batch),
            "discriminator_warmup": check_integer(
                f"{self.role}_warmup", self.discriminator_warmup, minimum=0
            ),
            "generator_warmup": check_integer(
                "generator_warmup", self.generator_warmup, minimum=0
            ),
            "persistency": check_integer(
                "persistency", self.persistency, minimum=1
            ),
            "step_size": check_step_size(self.step_size),
            "update": _check_update(self.update),
            "normalize_velocity": check_bool(
                "normalize_velocity", self.normalize_velocity
            ),
            "reuse_generated": check_bool(
                "reuse_generated", self.reuse_generated
            ),
            "ema": _check_ema(self.ema),
            "ema_half_life": _check_half_life(self.ema_half_life),
            "temperature": check_temperature(self.temperature),
            "generated_batch": _check_generated_batch(self.generated_batch),
            "guidance": check_guidance(self.guidance),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.generator_warmup and self.discriminator_warmup:
            raise ValueError(
                "Only one network can learn alone in the first rounds. "
                f"Received: generator_warmup={self.generator_warmup}, "
                f"{self.role}_warmup={self.discriminator_warmup}."
            )
        if self.ema is not None and self.ema_half_life is not None:
            raise ValueError(
                "`ema` and `ema_half_life` are two ways to say how long the "
                "average remembers. Pass one of them. Received: "
                f"ema={self.ema!r}, ema_half_life={self.ema_half_life!r}."
            )

    @property
    def averages(self) -> bool:
        """Whether there is an averaged generator."""
        return self.ema is not None or self.ema_half_life is not None

    def arguments(self, *names: str) -> Config:
        """Returns the arguments of `compile` as a model's files hold them."""
        serialize = keras.saving.serialize_keras_object
        return {name: serialize(getattr(self, name)) for name in names}

    def discriminator_arguments(self) -> Config:
        """Returns those that a model with a discriminator has."""
        return {
            "split_batch": self.split_batch,
            f"{self.role}_steps": self.discriminator_steps,
            f"{self.role}_warmup": self.discriminator_warmup,
        }


def check_step_size(value: Any) -> float | Schedule:
    """Checks for a positive number or a schedule."""
    if callable(value):
        return value
    return check_number(
        "step_size",
        value,
        above=0,
        hint="It is in the units of the data; schedules of "
        "`keras.optimizers.schedules` will do too.",
    )


def check_temperature(value: Any) -> float:
    """Checks for a number that is not negative."""
    return check_number(
        "temperature", value, minimum=0, hint="It is the size of the noise."
    )


def _check_update(update: Any) -> str:
    if not isinstance(update, str):
        raise TypeError(
            f"`update` must be one of {', '.join(UPDATES)}. Received: "
            f"update={update!r}."
        )
    return lookup(update, dict(zip(UPDATES, UPDATES)), "update")


def _check_generated_batch(value: Any) -> int | None:
    if value is None:
        return None
    return check_integer("generated_batch", value, minimum=1)


def _check_half_life(value: Any) -> Any:
    if value is None or callable(value):
        return value
    return check_number(
        "ema_half_life",
        value,
        above=0,
        hint="It is a number of samples; None is for no averaged generator.",
    )


def _check_ema(value: Any) -> Any:
    if value is None or callable(value):
        return value
    return check_number(
        "ema",
        value,
        above=0,
        below=1,
        hint="Take 0.999, for example, or None for no averaged generator.",
    )
