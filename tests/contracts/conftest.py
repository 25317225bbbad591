"""What the contract tests share."""

import contextlib

import keras
import pytest


@pytest.fixture
def float64():
    """Lets JAX compute in float64, as the other backends do."""
    if keras.backend.backend() == "jax":
        import jax

        # (Older versions have it in `jax.experimental`.)
        enable = getattr(jax, "enable_x64", None)
        context = (enable or jax.experimental.enable_x64)(True)
    else:
        context = contextlib.nullcontext()
    with context:
        yield
