"""What the tests of the metrics share."""

import keras
import pytest


@pytest.fixture
def torch_fidelity():
    """The package whose functions of features are compared with.

    On the other backends PyTorch would be loaded second, which may crash.
    """
    if keras.backend.backend() != "torch":
        pytest.skip("torch-fidelity is compared with on PyTorch only")
    return pytest.importorskip("torch_fidelity", exc_type=ImportError)


@pytest.fixture
def images(rng):
    """Real and generated images, of different numbers."""
    real = rng.normal(size=(20, 4, 4, 2)).astype("float32")
    return real, (rng.normal(size=(15, 4, 4, 2)) + 1).astype("float32")
