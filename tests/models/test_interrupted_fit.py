"""A model in a notebook outlives Ctrl-C and errors, in whatever ran."""

import keras
import numpy as np
import pytest
from helpers import ROLES, everything, make_uncompiled

pytestmark = pytest.mark.slow

BATCH = 16


class Raise(keras.callbacks.Callback):
    """Raises an error after the second batch."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            raise self.error

    on_test_batch_end = on_train_batch_end


def fit(model, x, **arguments):
    model.fit(x, batch_size=BATCH, shuffle=False, verbose=0, **arguments)


def ending_batches(x):
    yield from ((x[:BATCH],), (x[BATCH : 2 * BATCH],))
    raise RuntimeError("broken")


def ctrl_c_in_training(model, x):
    fit(model, x, callbacks=[Raise(KeyboardInterrupt("broken"))])


def error_in_a_callback(model, x):
    fit(model, x, callbacks=[Raise(RuntimeError("broken"))])


def error_in_the_data(model, x):
    model.fit(ending_batches(x), steps_per_epoch=4, verbose=0)


def ctrl_c_in_evaluation(model, x):
    callbacks = [Raise(KeyboardInterrupt("broken"))]
    model.evaluate(x, batch_size=BATCH, callbacks=callbacks, verbose=0)


def error_in_validation(model, x):
    callbacks = [Raise(RuntimeError("broken"))]
    # One batch of data: only the validation has a second one.
    fit(
        model,
        x[:BATCH],
        validation_data=x,
        validation_batch_size=BATCH,
        callbacks=callbacks,
    )


#: Each with the number of rounds that it lets end.
INTERRUPTIONS = {
    ctrl_c_in_training: 2,
    error_in_a_callback: 2,
    error_in_the_data: 2,
    ctrl_c_in_evaluation: 0,
    error_in_validation: 1,
}


def make_model(flow):
    keras.utils.set_random_seed(0)
    model = make_uncompiled(flow, dropout=0.2)
    adam = keras.optimizers.Adam
    if ROLES[flow] is None:
        arguments = {"velocity": "kernel_ratio"}
    else:
        arguments = {f"{ROLES[flow]}_optimizer": adam(1e-2)}
    if flow.endswith("particles"):
        arguments["step_size"] = 0.1
    else:
        arguments.update(generator_optimizer=adam(1e-2), ema=0.5)
    model.compile(**arguments)
    return model


#: On TensorFlow, data of unknown shape make another graph, which rounds
#: differently. (Counters that differ by one differ by more.)
TOLERANCE = {"rtol": 0, "atol": 0}
if keras.backend.backend() == "tensorflow":
    TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def assert_close(one, other, name):
    assert np.isfinite(one).all(), name
    np.testing.assert_allclose(one, other, **TOLERANCE, err_msg=name)


def assert_equal(one, other, name):
    for a, b in zip(everything(one), everything(other), strict=True):
        assert_close(a, b, name)


@pytest.mark.parametrize("flow", ROLES)
def test_an_interrupted_model_goes_on_like_another(flow, data, tmp_path):
    """The other trains for as many rounds, and nothing happens to it."""
    model, other = make_model(flow), make_model(flow)
    for interrupt, rounds in INTERRUPTIONS.items():
        name = interrupt.__name__
        with pytest.raises((Exception, KeyboardInterrupt), match="broken"):
            interrupt(model, data)
        if rounds:
            fit(other, data[: rounds * BATCH])
        assert_equal(model, other, name)
        for each in (model, other):
            fit(each, data)
        assert_equal(model, other, name)
        assert_close(*(m.sample(4, seed=0) for m in (model, other)), name)
        losses = [m.evaluate(data, verbose=0) for m in (model, other)]
        assert_close(*losses, name)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (loaded, other):
        fit(each, data)
    assert_equal(loaded, other, "loaded")
