"""Fixtures shared by all tests. Run with KERAS_BACKEND=tensorflow|jax|torch."""

import gc
import importlib.metadata
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if os.environ["KERAS_BACKEND"] == "torch":
    # Some callbacks import TensorFlow; torch must be loaded first.
    import torch

    # The tensors of the tests are too small to share.
    torch.set_num_threads(1)

if os.environ["KERAS_BACKEND"] == "jax":
    # The tests compile much and compute little. (Set before JAX is imported,
    # and for the processes that tests start too.)
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    # XLA ends a process that gives it a flag which it does not know.
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        flag = "--xla_cpu_use_fusion_emitters=false"
        os.environ.setdefault("XLA_FLAGS", flag)

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
