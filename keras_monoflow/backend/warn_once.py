"""One warning for each thing that a newer Keras or framework takes away."""

import functools
import warnings


@functools.cache
def warn_once(lost: str, name: str) -> None:
    """Warns that a private name is gone, and says what is lost by it."""
    warnings.warn(
        f"{lost}. (The installed version of a library has no "
        f"`{name}`: please tell the authors of keras_monoflow.)",
        stacklevel=3,
    )
