"""Fixtures shared by all tests. Run with KERAS_BACKEND=tensorflow|jax|torch."""

import gc
import importlib.metadata
import os
import zlib

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


def pytest_addoption(parser):
    parser.addoption(
        "--take-turns",
        action="store_true",
        help="of the tests marked `take_turns`, whose parts are tested on each "
        "backend, run a third: another one on each backend",
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--take-turns"):
        return
    turn = ("tensorflow", "jax", "torch").index(keras.backend.backend())

    def waits(item):
        return item.get_closest_marker("take_turns") and (
            zlib.crc32(item.nodeid.encode()) % 3 != turn
        )

    config.hook.pytest_deselected(items=[i for i in items if waits(i)])
    items[:] = [i for i in items if not waits(i)]


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
