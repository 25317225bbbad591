"""What a search may vary: constants, choices, and what the user declares."""

import contextlib
import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class SearchSpace(dict[str, Any]):
    """Entries of a search space by name.

    An entry is a list, to choose from; a function of `hp`, which declares what
    it likes and returns the value; or a constant.

    Args:
        defaults: Dictionary from names to entries.
        changes: Dictionary of entries that replace or extend the defaults, or
            `None`.
        other_names: Names that may be added to the defaults.

    Attributes:
        added: The names that the changes added to the defaults.

    Raises:
        ValueError: If a name is unknown, or a list of choices is empty.
    """

    def __init__(
        self,
        defaults: Mapping[str, Any],
        changes: Mapping[str, Any] | None,
        other_names: Iterable[str],
    ) -> None:
        changes = dict(changes or {})
        known = [*defaults, *other_names]
        for name, entry in changes.items():
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
                raise ValueError(
                    f"`space` has an unknown entry {name!r}.{hint} Known "
                    f"names: {', '.join(sorted(known))}."
                )
            if isinstance(entry, (list, tuple)) and not entry:
                raise ValueError(
                    f"`space[{name!r}]` has nothing to choose from."
                )
        super().__init__({**defaults, **changes})
        self.added = [name for name in changes if name not in defaults]

    def value(self, hp: Any, name: str) -> Any:
        """Declares an entry as a hyperparameter and returns its value.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            name: Name of the entry.
        """
        entry = self[name]
        # Mappings, losses and penalties can be called too.
        if inspect.isroutine(entry) or isinstance(entry, functools.partial):
            return entry(hp)
        if isinstance(entry, (list, tuple)):
            return hp.Choice(name, list(entry))
        if isinstance(entry, (str, bool, int, float)):
            return hp.Fixed(name, entry)
        return entry

    def value_if(
        self,
        hp: Any,
        name: str,
        other: str,
        other_value: Any,
        condition: Callable[[Any], bool],
    ) -> Any:
        """Declares an entry that matters for some values of another one.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            name: Name of the entry.
            other: Name of the entry that it depends on, declared before.
            other_value: The value of that entry.
            condition: Function from such a value to whether it matters.

        Returns:
            The value, or `None` where it does not matter.
        """
        with self._scope(hp, other, condition):
            # Functions of the user need not know of `None`, which KerasTuner
            # gives for what does not matter.
            return self.value(hp, name) if condition(other_value) else None

    def _scope(self, hp, other, condition):
        entry = self[other]
        if not isinstance(entry, (list, tuple)):
            return contextlib.nullcontext()  # the values are not known yet
        values = [value for value in entry if condition(value)]
        if not values or len(values) == len(entry):
            return contextlib.nullcontext()
        return hp.conditional_scope(other, values)


def none_of(value: Any) -> Any:
    """Returns a choice, or `None` for `"none"`: KerasTuner takes no `None`."""
    return None if isinstance(value, str) and value == "none" else value
