"""What fit calls on JAX: steps that cannot be one program run one by one."""

import types

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("Only JAX fuses steps.", allow_module_level=True)

import jax
from jax import numpy as jnp

from keras_monoflow.backend.jax import train_function


def make_steps(step):
    def one_by_one(state, batches):
        for batch in batches:
            logs, state = step(state, batch)
        return logs, state

    model = types.SimpleNamespace(
        steps_per_execution=2,
        train_step=step,
        jit_compile=True,
        run_eagerly=False,
    )
    return train_function.TrainFunction(model, one_by_one)


def run(step):
    batches = [jnp.ones(3), 2 * jnp.ones(3)]
    return make_steps(step)((jnp.zeros(3),), iter(batches))


def test_a_state_that_changes_its_type_is_not_scanned():
    def step(state, batch):
        total = state[0].astype("int32") + batch.astype("int32")
        return {"loss": total.sum()}, (total,)

    with pytest.warns(UserWarning, match="one by one.*carry"):
        logs, (total,) = run(step)
    np.testing.assert_array_equal(total, [3, 3, 3])
    assert int(logs["loss"]) == 9


def test_an_error_of_the_step_is_raised_as_it_is():
    def step(state, batch):
        raise ValueError("bad labels")

    with pytest.raises(ValueError, match="bad labels"):
        run(step)


def test_shardings_that_keras_does_not_tell(monkeypatch):
    devices = keras.distribution.DataParallel(devices=["cpu:0"])
    keras.distribution.set_distribution(devices)
    train_function.warn_once.cache_clear()
    try:
        with pytest.warns(UserWarning, match="one by one"):
            steps = make_steps(lambda state, batch: ({}, state))
    finally:
        keras.distribution.set_distribution(None)
    monkeypatch.setattr(jax.lax, "scan", None)
    assert steps((jnp.zeros(3),), iter([jnp.ones(3)] * 2))[0] == {}
