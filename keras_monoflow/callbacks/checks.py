"""Checks of the arguments that the callbacks share."""


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
