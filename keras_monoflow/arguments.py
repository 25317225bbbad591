"""Checks of arguments that all parts of the package share."""

import inspect
import math
import numbers
import operator
from typing import Any

import numpy as np


def takes(function: Any, name: str) -> bool:
    """Returns whether a function has an argument of this name, or takes any."""
    parameters = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds


class NotANumber(TypeError, ValueError):
    """A number was expected; version 0.1 raised now the one, now the other."""


def check_integer(name: str, value: Any, minimum: int | None = None) -> int:
    """Returns `value` as an `int`, or raises an error that names `name`.

    Raises:
        TypeError: If it is not an integer; a bool is not one.
        ValueError: If it is below `minimum`.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        integer = operator.index(value)
    except TypeError:
        raise TypeError(
            f"`{name}` must be an integer. Received: {name}={value!r}"
        ) from None
    if minimum is not None and integer < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value!r}"
        )
    return integer


def check_bool(name: str, value: Any) -> bool:
    """Returns `value` as a `bool`.

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(
        f"`{name}` must be True or False. Received: {name}={value!r}"
    )


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    minimum: float | None = None,
    below: float | None = None,
    maximum: float | None = None,
    hint: str = "",
) -> float:
    """Returns `value` as a `float` within bounds.

    Args:
        name: What the error message calls the argument, for example
            `"weight"` or `"weight of R1"`.
        value: What the user passed.
        above: The value must be greater.
        minimum: The value must be at least this.
        below: The value must be smaller.
        maximum: The value must be at most this.
        hint: A sentence for the end of the message: what to do instead.

    Raises:
        NotANumber: If it is not a number; a bool is not one. This is
            a `TypeError` and a `ValueError`.
        ValueError: If it is not finite or out of bounds.
    """
    bounds = [
        f"{words} {bound:g}"
        for words, bound in (
            ("greater than", above),
            ("at least", minimum),
            ("less than", below),
            ("at most", maximum),
        )
        if bound is not None
    ]
    wanted = "a finite number" + (" " if bounds else "") + " and ".join(bounds)
    argument, _, owner = name.partition(" of ")
    message = (
        f"`{argument}`{' of ' + owner if owner else ''} must be {wanted}. "
        f"Received: {argument}={value!r}.{' ' + hint if hint else ''}"
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise NotANumber(message)
    number = float(value)
    if (
        not math.isfinite(number)
        or (above is not None and not number > above)
        or (minimum is not None and number < minimum)
        or (below is not None and not number < below)
        or (maximum is not None and number > maximum)
    ):
        raise ValueError(message)
    return number


def check_range(name: str, value: Any) -> tuple[float, float]:
    """Returns `value` as two increasing floats.

    Raises:
        ValueError: If it is something else, or not finite.
    """
    try:
        low, high = (float(v) for v in value)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a pair of numbers `(low, high)`. "
            f"Received: {name}={value!r}"
        ) from None
    if not -math.inf < low < high < math.inf:
        raise ValueError(
            f"`{name}` must increase, and be finite: give `(low, high)` with "
            f"low < high. Received: {name}={value!r}"
        )
    return low, high


def check_range_of_bytes(
    name: str, value_range: tuple[float, float], images: Any
) -> None:
    """Raises an error for bytes that are said to lie in `[-1, 1]`."""
    if str(images.dtype) == "uint8" and tuple(value_range) == (-1.0, 1.0):
        raise ValueError(
            f"The images are bytes (uint8): pass `{name}=(0, 255)`, or "
            f"scale them to [-1, 1]. Received: {name}={value_range}."
        )
