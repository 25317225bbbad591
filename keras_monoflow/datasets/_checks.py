"""Checks of the arguments that the data sets share."""

import math
import operator


def check_integer(name, value, minimum=1):
    """Return `value` as an `int`, or raise an error that names the argument."""
    try:
        integer = operator.index(value)
    except TypeError:
        raise TypeError(
            f"`{name}` must be an integer. Received: {name}={value!r}"
        ) from None
    if integer < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value!r}"
        )
    return integer


def check_length(name, value):
    """Return `value`, a length in data units that is finite and not below 0."""
    try:
        length = float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r}"
        ) from None
    if not 0.0 <= length < math.inf:
        raise ValueError(
            f"`{name}` must be finite and at least 0. "
            f"Received: {name}={value!r}"
        )
    return length
