"""The public behavior of W1FE. Its generator step: test_persistent_step.py."""

import keras
import numpy as np
import pytest
from helpers import make_networks
from keras import ops

import keras_monoflow as kmf


def make_model(**arguments):
    model = kmf.W1FE(*make_networks(), seed=1)
    defaults = {
        "generator_optimizer": keras.optimizers.Adam(1e-2, beta_1=0.5),
        "critic_optimizer": keras.optimizers.Adam(1e-2, beta_1=0.5),
    }
    model.compile(**{**defaults, **arguments})
    return model


def test_wasserstein_loss():
    real, fake = np.array([1.0, 3.0]), np.array([[0.5], [0.7], [0.3]])
    loss = kmf.losses.WassersteinLoss()(real, fake)
    np.testing.assert_allclose(float(loss), 0.5 - 2.0, rtol=1e-6)


def test_lipschitz_penalty_unless_told_otherwise():
    (penalty,) = make_model().penalties
    assert isinstance(penalty, kmf.penalties.LipschitzPenalty)
    assert penalty.weight == 10.0
    assert make_model(penalty=None).penalties == []


def test_logs(data):
    history = make_model(persistency=3).fit(
        data, batch_size=32, validation_data=data, verbose=0
    )
    assert set(history.history) == {
        "critic_loss",
        "generator_loss",
        "velocity_norm",
        "penalty",
        "regression_loss",
        "val_critic_loss",
        "val_generator_loss",
    }
    assert np.isfinite([v[0] for v in history.history.values()]).all()


def test_keras_file_goes_on_where_it_stopped(tmp_path, data):
    choices = {
        "critic_steps": 2,
        "critic_warmup": 3,
        "persistency": 2,
        "step_size": 0.2,
        "update": "proximal",
        "normalize_velocity": True,
    }
    model = make_model(**choices)
    arguments = {"batch_size": 32, "shuffle": False, "verbose": 0}
    model.fit(data, **arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    config = loaded.get_compile_config()
    assert {k: config[k] for k in choices} == choices
    for m in (model, loaded):
        m.fit(data, epochs=2, **arguments)
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(a.value), ops.convert_to_numpy(b.value)
        )


@pytest.mark.slow
def test_callbacks_log_rates_by_role(data):
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)
    history = make_model().fit(data, callbacks=[halve], verbose=0)
    for role in ("generator", "critic"):
        np.testing.assert_allclose(
            history.history[f"learning_rate_{role}"], [0.005], rtol=1e-6
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"critic_steps": 0}, ["critic_steps", "0"]),
        ({"critic_warmup": -1}, ["critic_warmup", "-1"]),
        ({"update": "persistant"}, ["update", "'persistent'"]),
        ({"update": 3}, ["update", "3"]),
        ({"critic_optimizer": None}, ["critic_optimizer", "required"]),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises((ValueError, TypeError)) as error:
        make_model(**arguments)
    for word in words:
        error.match(word)
