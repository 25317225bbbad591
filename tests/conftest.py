"""Fixtures shared by all tests. Run with KERAS_BACKEND=tensorflow|jax|torch."""

import gc
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if os.environ["KERAS_BACKEND"] == "torch":
    # Some callbacks import TensorFlow; torch must be loaded first.
    import torch

    # The tensors of the tests are too small to share.
    torch.set_num_threads(1)

import hypothesis
import keras
import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
# A busy machine is no failure.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")


@pytest.fixture(autouse=True, scope="module")
def little_garbage():
    """Tuners collect garbage after each trial; spares them that of others."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def reproducible():
    """Every test starts from the same seeds and a clean Keras session."""
    # A full garbage collection before each test would take half a second.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def compile_fast():
    """For tests on JAX that spend their time on optimizing programs."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    # Programs that were compiled otherwise (initializers, say) round
    # otherwise, and are not to be mixed with those of these tests.
    jax.clear_caches()
    # For processes that a test starts.
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    yield
    del os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"]
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
