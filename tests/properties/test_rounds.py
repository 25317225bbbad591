"""What every training must do, whatever it is put together from."""

import dataclasses

import keras
import numpy as np
import pytest
from helpers import numpy
from hypothesis import given

from properties.configurations import BACKEND, configurations, settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]


def everything(model):
    """All that a training continues from.

    (Each evaluation starts the noise of evaluations anew.)
    """
    variables = [*model.variables, *model.optimizer.variables]
    return [
        np.array(numpy(v), copy=True)
        for v in variables
        if v is not model.evaluation_seed.state
    ]


def assert_same(one, other, configuration, exactly=False):
    # Compilers fuse operations; bfloat16 rounds at 1 in 256.
    tolerance = 3e-2 if "float16" in configuration.policy else 1e-3
    for a, b in zip(everything(one), everything(other), strict=True):
        if exactly:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@given(configurations())
@settings
def test_a_round_is_finite_and_what_it_is_eagerly(configuration):
    if BACKEND != "torch":
        # Others divide what rounding leaves of a zero gradient by its size.
        configuration = dataclasses.replace(
            configuration,
            generator_optimizer="SGD",
            discriminator_optimizer="SGD",
        )
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


@given(configurations())
@settings
def test_a_loaded_model_goes_on(tmp_path_factory, configuration):
    model = configuration.model()
    configuration.fit(model)
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
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
