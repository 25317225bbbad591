"""Looks objects up by name, and says what is known when a name is not."""

import difflib


def lookup(name, table, argument):
    """Returns `table[name]`.

    Args:
        name: A string; case, spaces and hyphens do not matter.
        table: Dictionary from snake_case names to values.
        argument: What the error message calls the argument.

    Raises:
        ValueError: If the name is unknown. The message lists the known names
            and suggests the nearest.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key in table:
        return table[key]
    nearest = difflib.get_close_matches(key, table, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(
        f"Unknown `{argument}`: {name!r}.{hint} "
        f"Known names: {', '.join(sorted(table))}."
    )
