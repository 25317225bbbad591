"""A training whose every choice is an edge of what PyTorch compiles."""

import shutil

import keras
import numpy as np
import pytest

from properties.comparison import assert_same, everything
from properties.configurations import BACKEND, Configuration

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(BACKEND != "torch", reason="compiles with PyTorch"),
    pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler"),
]

CONFIGURATION = Configuration(
    flow="MonoFlowGAN",
    generator_layer="dropout",
    discriminator_layer="dropout",
    conditional=False,
    policy="mixed_float16",
    arguments={
        "mapping": "hellinger",
        "discriminator_loss": "matched",
        "penalty": "r2",
        "discriminator_warmup": 2,
        "jit_compile": True,
    },
    generator_optimizer="Nadam",
    discriminator_optimizer="Nadam",
)


def trained(**trainer):
    model = CONFIGURATION.model(**trainer)
    CONFIGURATION.fit(model, epochs=4)
    return model


def test_a_loaded_model_goes_on(tmp_path):
    model = trained()
    before = everything(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        CONFIGURATION.fit(each, epochs=2)
    assert_same(model, loaded, CONFIGURATION, exactly=True)
    assert not np.array_equal(before[0], everything(model)[0])


def test_it_is_what_it_is_eagerly():
    # Nadam reads a value, so nothing is compiled after all, nor rounded
    # in another way.
    eager = trained(jit_compile=False, run_eagerly=True)
    assert_same(trained(), eager, CONFIGURATION, exactly=True)
