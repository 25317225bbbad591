"""Checks of arguments that all parts of the package share."""

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
