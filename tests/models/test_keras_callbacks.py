"""Every callback that Keras ships has its effect on all flows and networks."""

import csv
import pathlib

import keras
import numpy as np
import pytest
from helpers import ROLES, make_flow, slow_except
from keras import ops

import keras_monoflow as kmf

#: Those with networks that learn; the others have tests of their own.
FLOWS = sorted(set(ROLES) - {"free_particles"})
#: Those with a single optimizer.
ALONE = ("particles", "samples")

pytestmark = pytest.mark.parametrize("flow", slow_except(["monoflow"], FLOWS))


def optimizers(model):
    pair = getattr(model.optimizer, "optimizers", None)
    return [model.optimizer] if pair is None else pair


def rates(model):
    return [
        float(ops.convert_to_numpy(o.learning_rate)) for o in optimizers(model)
    ]


def initial_rates(flow):
    rates = {"particles": [0.2], "samples": [0.1]}
    return np.array(rates.get(flow, [0.1, 0.2]))


def judged(flow):
    """A log of training and of validation."""
    return f"{ROLES[flow]}_loss" if ROLES[flow] else "velocity_norm"


def weights(model):
    return [w.copy() for w in model.get_weights()]


def trained(model):
    """The weights that optimizers move, which particles are not."""
    return [ops.convert_to_numpy(w.value) for w in model.trainable_weights]


def equal(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a, b))


class Remember(keras.callbacks.Callback):
    """Keeps the weights at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(weights(self.model))


class Report(keras.callbacks.Callback):
    """Reports given values as `val_score`."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_score"] = self.values[epoch]


def fit(model, data, callbacks, epochs=3, **kwargs):
    return model.fit(
        data,
        batch_size=32,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
        **kwargs,
    )


def test_learning_rate_scheduler_changes_both(flow, data):
    model = make_flow(flow)
    history = fit(
        model,
        data,
        [keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)],
    )
    np.testing.assert_allclose(rates(model), initial_rates(flow) / 8, rtol=1e-6)
    logs = [f"learning_rate_{r}" for r in ("generator", ROLES[flow])]
    for log, start in zip(
        ["learning_rate"] if flow in ALONE else logs, initial_rates(flow)
    ):
        np.testing.assert_allclose(
            history.history[log], [start / 2, start / 4, start / 8], rtol=1e-6
        )


def test_learning_rates_really_act(flow, data):
    # A rate of zero must freeze all networks.
    model = make_flow(flow)
    before = trained(model)
    fit(model, data, [keras.callbacks.LearningRateScheduler(lambda e, lr: 0.0)])
    assert equal(before, trained(model))


def test_reduce_on_plateau_keeps_the_ratio(flow, data):
    model = make_flow(flow)
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_score", factor=0.1, patience=1, mode="min"
    )
    fit(model, data, [Report([1.0, 2.0, 3.0]), callback])
    np.testing.assert_allclose(
        rates(model), initial_rates(flow) / 100, rtol=1e-5
    )


@pytest.mark.slow
def test_model_checkpoint_keeps_the_best(flow, data, tmp_path):
    model, remember = make_flow(flow), Remember()
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="val_score", mode="min", save_best_only=True
    )
    fit(model, data, [Report([2.0, 1.0, 3.0]), checkpoint, remember])
    best = keras.saving.load_model(path)
    assert equal(weights(best), remember.epochs[1])
    assert not equal(weights(best), weights(model))
    # Its own validation losses can be monitored too.
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "own.keras",
        monitor=f"val_{judged(flow)}",
        mode="max",
        save_best_only=True,
    )
    fit(model, data, [checkpoint], validation_data=data)
    assert (tmp_path / "own.keras").exists()


@pytest.mark.parametrize(
    "backup",
    [keras.callbacks.BackupAndRestore, kmf.callbacks.BackupAndRestore],
)
def test_backup_and_restore_continues(flow, data, tmp_path, backup):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def run(model, *callbacks):
        fit(model, data, list(callbacks), epochs=4, shuffle=False)
        return weights(model)

    start = make_flow(flow)
    straight = make_flow(flow)
    straight.set_weights(start.get_weights())
    expected = run(straight)
    with pytest.raises(KeyboardInterrupt):
        run(start, backup(tmp_path), Crash())
    remember = Remember()
    resumed = make_flow(flow, seed=99)
    actual = run(resumed, backup(tmp_path), remember)
    assert len(remember.epochs) == 2
    assert equal(actual, expected)


def test_early_stopping_restores_the_best_weights(flow, data):
    model, remember = make_flow(flow), Remember()
    stop = keras.callbacks.EarlyStopping(
        monitor="val_score", mode="min", patience=2, restore_best_weights=True
    )
    fit(model, data, [Report([2, 1, 3, 4, 5, 6]), remember, stop], epochs=6)
    assert len(remember.epochs) == 4
    assert equal(weights(model), remember.epochs[1])


@pytest.mark.slow
def test_csv_logger_writes_every_log(flow, data, tmp_path):
    path = tmp_path / "log.csv"
    model = make_flow(flow)
    history = fit(
        model, data, [keras.callbacks.CSVLogger(path)], validation_data=data
    )
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    validated = f"val_{judged(flow)}"
    for name in ("generator_loss", validated, "velocity_norm"):
        np.testing.assert_allclose(
            [float(row[name]) for row in rows], history.history[name]
        )


def test_terminate_on_nan(flow, data):
    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                network = self.model.discriminator or self.model.generator
                bad = network.get_weights()
                bad[0][:] = np.nan
                network.set_weights(bad)

    model, remember = make_flow(flow), Remember()
    fit(
        model,
        data,
        [Poison(), keras.callbacks.TerminateOnNaN(), remember],
        epochs=4,
    )
    assert len(remember.epochs) == 2
    assert model.stop_training


@pytest.mark.parametrize(
    "which", slow_except(["both"], ["generator", "other", "both"])
)
def test_swap_ema_weights(flow, data, which):
    if flow == "particles" and which != "other":
        pytest.skip("particles have no generator")
    if flow == "samples" and which != "generator":
        pytest.skip("there is no discriminator")
    use_ema = ("generator", "other") if which == "both" else (which,)
    model = make_flow(flow, use_ema=use_ema)
    # The generator's four weights come first; before them, a counter.
    first_other = {"particles": 0, "samples": 5}.get(flow, 4)
    epochs = []

    class Follow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            epochs.append(weights(self.model))

    averages, evaluated = None, []
    swap = keras.callbacks.SwapEMAWeights()

    class OnTest(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            evaluated.append(weights(self.model))

    # One batch an epoch, so that validation follows every batch.
    model.fit(
        data,
        batch_size=64,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[Follow(), swap, OnTest()],
        validation_data=data,
    )
    averaged = [
        i
        for i, weight in enumerate(model.weights)
        if weight.trainable
        and ("generator" in use_ema if i < first_other else "other" in use_ema)
    ]
    for raw, seen in zip(epochs, evaluated):
        # Keras starts the average at the weights after the first update.
        averages = averages or [w.astype("float64") for w in raw]
        for i, (average, w) in enumerate(zip(averages, raw)):
            averages[i] = 0.5 * average + 0.5 * w
            want = averages[i] if i in averaged else w
            np.testing.assert_allclose(seen[i], want, rtol=1e-5, atol=1e-7)


def test_use_ema_ends_with_the_averages_of_both(flow, data):
    model = make_flow(flow, use_ema=("generator", "other"))
    last = []

    class Last(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            last[:] = [
                ops.convert_to_numpy(v.value)
                for o in optimizers(self.model)
                for v in o._model_variables_moving_average
            ]

    fit(model, data, [Last()])
    assert equal(trained(model), last)
    # The next training goes on from there.
    fit(model, data, [])
    assert not equal(trained(model), last)


@pytest.mark.slow
def test_swap_ema_weights_says_when_it_has_nothing_to_do(flow, data):
    with pytest.raises(ValueError, match="use_ema"):
        fit(
            make_flow(flow),
            data,
            [keras.callbacks.SwapEMAWeights()],
            validation_data=data,
        )


def test_lambda_callback_sees_logs(flow, data):
    seen = []
    fit(
        make_flow(flow),
        data,
        [
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: seen.append((epoch, logs))
            )
        ],
        epochs=2,
    )
    assert [epoch for epoch, _ in seen] == [0, 1]
    assert set(seen[0][1]) >= {
        "generator_loss",
        judged(flow),
        "velocity_norm",
    }


@pytest.mark.slow
def test_tensorboard_writes_scalars(flow, data, tmp_path):
    pytest.importorskip("tensorboard")
    tf = pytest.importorskip("tensorflow")
    model = make_flow(flow)
    fit(
        model,
        data,
        [keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)],
        validation_data=data,
    )
    tags = set()
    for path in pathlib.Path(tmp_path).rglob("*tfevents*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"epoch_generator_loss", "epoch_velocity_norm"} <= tags
    assert f"evaluation_{judged(flow)}_vs_iterations" in tags
    assert any("kernel" in tag for tag in tags)
