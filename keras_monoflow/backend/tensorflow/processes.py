"""TensorFlow's processes do not train together with this package."""

import contextlib
from collections.abc import Sequence


def count() -> int:
    return 1


def index() -> int:
    return 0


def copy_from_first(values: Sequence) -> Sequence:
    return values


def local(variables: Sequence) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


def wait_for(variables: Sequence) -> None:
    """Nothing is computed ahead."""
