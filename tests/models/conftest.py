"""The data of the tests of models."""

import pytest


@pytest.fixture
def data(rng):
    return (rng.normal(size=(64, 2)) + 1.0).astype("float32")
