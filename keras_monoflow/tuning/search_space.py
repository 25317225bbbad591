"""What a search may vary: constants, choices, and what the user declares."""

import contextlib
import difflib
import functools
import inspect


def merge(defaults, changes, more_names):
    """Returns the default search space with the user's changes.

    Args:
        defaults: Dictionary from names to entries.
        changes: Dictionary of entries that replace or extend the defaults, or
            `None`.
        more_names: Names that may be added to the defaults.

    Raises:
        ValueError: If a name is unknown, or a list of choices is empty.
    """
    changes = dict(changes or {})
    known = [*defaults, *more_names]
    for name, entry in changes.items():
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ValueError(
                f"`space` has an unknown entry {name!r}.{hint} Known names: "
                f"{', '.join(sorted(known))}."
            )
        if isinstance(entry, (list, tuple)) and not entry:
            raise ValueError(f"`space[{name!r}]` has nothing to choose from.")
    return {**defaults, **changes}


def declare(hp, name, entry):
    """Declares a hyperparameter and returns its value.

    Args:
        hp: A `keras_tuner.HyperParameters`.
        name: String.
        entry: A list, to choose from; a function of `hp`, which declares what
            it likes and returns the value; or a constant.
    """
    # Mappings, losses and penalties can be called too.
    if inspect.isroutine(entry) or isinstance(entry, functools.partial):
        return entry(hp)
    if isinstance(entry, (list, tuple)):
        return hp.Choice(name, list(entry))
    if isinstance(entry, (str, bool, int, float)):
        return hp.Fixed(name, entry)
    return entry


def when(hp, name, entry, condition):
    """A scope for hyperparameters that matter only for some values of another.

    Args:
        hp: A `keras_tuner.HyperParameters`.
        name: Name of the other hyperparameter, which was declared from `entry`.
        entry: Its entry in the search space.
        condition: Function from a value to whether they matter.

    Returns:
        A context. Where the values are not known beforehand, as `entry` is
        a function, or the condition holds for all of them, it does nothing.
    """
    if not isinstance(entry, (list, tuple)):
        return contextlib.nullcontext()
    values = [value for value in entry if condition(value)]
    if not values or len(values) == len(entry):
        return contextlib.nullcontext()
    return hp.conditional_scope(name, values)
