"""What every training must do, whatever it is put together from."""

import dataclasses
import shutil

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import given

from properties.comparison import assert_same
from properties.configurations import (
    BACKEND,
    EXAMPLES,
    configurations,
    settings,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]


def with_sgd(configuration):
    """Others divide what rounding leaves of a zero gradient by its size."""
    return dataclasses.replace(
        configuration, generator_optimizer="SGD", discriminator_optimizer="SGD"
    )


@given(configurations())
@settings
def test_a_round_is_finite_and_what_it_is_eagerly(configuration):
    if BACKEND != "torch":
        configuration = with_sgd(configuration)
    one = configuration.model()
    history = configuration.fit(one).history
    for name, values in history.items():
        assert np.isfinite(values).all(), name
    if BACKEND == "jax":
        return  # Nothing is compiled there that is not in an eager step.
    other = configuration.model(run_eagerly=True)
    configuration.fit(other)
    # PyTorch replays the very operations.
    assert_same(one, other, configuration, exactly=BACKEND == "torch")


@pytest.mark.skipif(
    BACKEND == "torch" and not shutil.which("g++"),
    reason="needs a compiler of C++",
)
@pytest.mark.skipif(
    BACKEND == "tensorflow",
    reason="XLA draws other numbers there from the same seed",
)
@given(configurations())
@hypothesis.settings(settings, max_examples=max(1, EXAMPLES // 5))
def test_compiled_it_is_the_same(configuration):
    configuration = with_sgd(configuration)
    one = configuration.model(jit_compile=True)
    other = configuration.model(jit_compile=False)
    for model in (one, other):
        configuration.fit(model)
    assert_same(one, other, configuration)


@given(configurations())
@settings
def test_a_loaded_model_goes_on(tmp_path_factory, configuration):
    model = configuration.model()
    configuration.fit(model)
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    # Modules of `torch.nn` are pickled.
    loaded = keras.saving.load_model(path, safe_mode=False)
    for each in (model, loaded):
        configuration.fit(each)
    assert_same(model, loaded, configuration, exactly=True)


@given(configurations())
@settings
def test_looking_on_changes_nothing(configuration):
    one, other = (configuration.model() for _ in range(2))
    labels = (
        {"labels": np.eye(3, dtype="float32")[[0, 1, 2, 0]]}
        if configuration.conditional
        else {}
    )
    for _ in range(2):
        for model in (one, other):
            configuration.fit(model)
        samples = [one.sample(4, seed=3, **labels) for _ in range(2)]
        np.testing.assert_array_equal(*samples)
        losses = [
            one.evaluate(*configuration.data(), verbose=0) for _ in range(2)
        ]
        np.testing.assert_array_equal(*losses)
        one.velocity(samples[0], **labels)
    assert_same(one, other, configuration, exactly=True)
