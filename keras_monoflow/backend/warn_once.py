"""One warning for each thing that a newer Keras or framework takes away."""

import functools
import warnings


@functools.cache
def warn_once(lost: str, moved: str) -> None:
    """Says what is lost because a private name has moved."""
    warnings.warn(
        f"{lost}. (The installed versions lack a private name that "
        f"keras_monoflow uses; please tell its authors: {moved})",
        stacklevel=3,
    )
