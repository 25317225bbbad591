"""Names: one registry for each kind of thing that users choose by name.

A class enters with a decorator, which registers it with Keras as well; all
that needs names comes from here: look-up, error messages, the tuner's choices
and the tables of the documentation.

```python
from keras import ops
import keras_monoflow as kmf
from keras_monoflow.registry import MAPPINGS

@MAPPINGS.register("cubic", aliases=("third_power",))
class Cubic(kmf.mappings.Mapping):
    def h(self, u):
        return u + u**3

kmf.mappings.get("cubic")
```
"""

import difflib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import keras

T = TypeVar("T")

PACKAGE = "keras_monoflow"


class Registry:
    """The names of one kind of thing.

    Args:
        argument: What error messages call the argument that takes the names.

    Attributes:
        makers: Dictionary from canonical names to what makes an object, with no
            arguments or with some.
        aliases: Dictionary from other names to canonical ones.
    """

    def __init__(self, argument: str) -> None:
        self.argument = argument
        self.makers: dict[str, Callable[..., Any]] = {}
        self.aliases: dict[str, str] = {}

    def register(
        self, name: str | None = None, aliases: Iterable[str] = ()
    ) -> Callable[[type[T]], type[T]]:
        """Returns a decorator of a class, which Keras can then load from files.

        Args:
            name: Its name; `None` for a class that cannot be made without
                arguments.
            aliases: Other names.

        Raises:
            ValueError: If a name is taken.
        """

        def decorate(cls: type[T]) -> type[T]:
            if name is not None:
                self.add(name, cls, aliases)
            return keras.saving.register_keras_serializable(PACKAGE)(cls)

        return decorate

    def add(
        self, name: str, make: Callable[[], Any], aliases: Iterable[str] = ()
    ) -> None:
        """Gives a name to what a function makes.

        Raises:
            ValueError: If a name is taken.
        """
        for new in (name, *aliases):
            if new in self.makers or new in self.aliases:
                raise ValueError(f"The {self.argument} {new!r} exists already.")
        self.makers[name] = make
        self.aliases.update(dict.fromkeys(aliases, name))

    def make(self, name: str, **special: Callable[[], Any]) -> Any:
        """Returns a new object by its name or alias.

        Args:
            name: A string; case, spaces and hyphens do not matter.
            **special: More makers by name, for this call.

        Raises:
            ValueError: If the name is unknown. The message lists the known
                names and suggests the nearest.
        """
        return self.maker(name, **special)()

    def maker(self, name: str, **special: Callable[[], Any]) -> Any:
        """Returns what makes the objects of a name or alias; arguments and
        errors are those of `make`."""
        others = {a: self.makers[n] for a, n in self.aliases.items()}
        table = {**self.makers, **others, **special}
        return lookup(name, table, self.argument)

    def names_for(self, name: str) -> list[str]:
        """Returns the aliases of a canonical name."""
        return [a for a, canonical in self.aliases.items() if canonical == name]


def key_of(name: str) -> str:
    """Returns a name as it stands in tables: case, spaces and hyphens do not
    matter."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def lookup(name: str, table: dict[str, T], argument: str) -> T:
    """Returns `table[name]`.

    Args:
        name: A string; case, spaces and hyphens do not matter.
        table: Dictionary from snake_case names to values.
        argument: What the error message calls the argument.

    Raises:
        TypeError: If it is not a string.
        ValueError: If the name is unknown. The message lists the known names
            and suggests the nearest.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"`{argument}` must be one of {', '.join(sorted(table))}. "
            f"Received: {argument}={name!r}."
        )
    key = key_of(name)
    if key in table:
        return table[key]
    nearest = difflib.get_close_matches(key, table, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(
        f"Unknown `{argument}`: {name!r}.{hint} "
        f"Known names: {', '.join(sorted(table))}."
    )


#: The strictly increasing functions `h` of the log density ratio.
MAPPINGS = Registry("mapping")

#: The objectives of discriminators that estimate a density ratio.
OBJECTIVES = Registry("discriminator_loss")

#: The penalties on discriminators.
PENALTIES = Registry("penalty")

#: Further terms of the generator's loss.
TERMS = Registry("generator_terms")

#: The distances between sets of samples.
METRICS = Registry("metrics")

#: What moves generated samples without a discriminator.
VELOCITIES = Registry("velocity")
