"""Checks of the arguments that the callbacks share."""

import operator


def check_integer(name, value, minimum=None):
    """Return `value` as an `int`, or raise an error that names the argument."""
    try:
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


def check_range(name, value):
    """Return `value` as two increasing floats, or raise an error."""
    try:
        low, high = (float(v) for v in value)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a pair of numbers `(low, high)`. "
            f"Received: {name}={value!r}"
        ) from None
    if not low < high:
        raise ValueError(
            f"`{name}` must increase: give `(low, high)` with low < high. "
            f"Received: {name}={value!r}"
        )
    return low, high
