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
        owner = jax if hasattr(jax, "enable_x64") else jax.experimental
        context = owner.enable_x64(True)
    else:
        context = contextlib.nullcontext()
    with context:
        yield
