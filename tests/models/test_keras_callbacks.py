"""Every callback that Keras ships has its effect on both networks."""

import csv
import pathlib

import keras
import numpy as np
import pytest
from conftest import make_gan
from keras import ops


def rates(gan):
    return [
        float(ops.convert_to_numpy(o.learning_rate))
        for o in gan.optimizer.optimizers
    ]


def weights(gan):
    return [w.copy() for w in gan.get_weights()]


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


def fit(gan, data, callbacks, epochs=3, **kwargs):
    return gan.fit(
        data,
        batch_size=32,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
        **kwargs,
    )


def test_learning_rate_scheduler_changes_both(data):
    gan = make_gan()
    history = fit(
        gan,
        data,
        [keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)],
    )
    np.testing.assert_allclose(rates(gan), [0.1 / 8, 0.2 / 8], rtol=1e-6)
    for role, start in (("generator", 0.1), ("discriminator", 0.2)):
        np.testing.assert_allclose(
            history.history[f"learning_rate_{role}"],
            [start / 2, start / 4, start / 8],
            rtol=1e-6,
        )


def test_learning_rates_really_act(data):
    # A rate of zero must freeze both networks.
    gan = make_gan()
    before = weights(gan)
    fit(gan, data, [keras.callbacks.LearningRateScheduler(lambda e, lr: 0.0)])
    assert equal(before, weights(gan))


def test_reduce_on_plateau_keeps_the_ratio(data):
    gan = make_gan()
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_score", factor=0.1, patience=1, mode="min"
    )
    fit(gan, data, [Report([1.0, 2.0, 3.0]), callback])
    np.testing.assert_allclose(rates(gan), [0.001, 0.002], rtol=1e-5)


def test_model_checkpoint_keeps_the_best(data, tmp_path):
    gan, remember = make_gan(), Remember()
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="val_score", mode="min", save_best_only=True
    )
    fit(gan, data, [Report([2.0, 1.0, 3.0]), checkpoint, remember])
    best = keras.saving.load_model(path)
    assert equal(weights(best), remember.epochs[1])
    assert not equal(weights(best), weights(gan))
    # Its own validation losses can be monitored too.
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "own.keras",
        monitor="val_discriminator_loss",
        mode="max",
        save_best_only=True,
    )
    fit(gan, data, [checkpoint], validation_data=data)
    assert (tmp_path / "own.keras").exists()


def test_backup_and_restore_continues(data, tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def run(gan, *callbacks):
        fit(gan, data, list(callbacks), epochs=4, shuffle=False)
        return weights(gan)

    start = make_gan()
    straight = make_gan()
    straight.set_weights(start.get_weights())
    expected = run(straight)
    with pytest.raises(KeyboardInterrupt):
        run(start, keras.callbacks.BackupAndRestore(tmp_path), Crash())
    remember = Remember()
    resumed = make_gan(seed=99)
    actual = run(resumed, keras.callbacks.BackupAndRestore(tmp_path), remember)
    assert len(remember.epochs) == 2
    assert equal(actual, expected)


def test_early_stopping_restores_the_best_weights(data):
    gan, remember = make_gan(), Remember()
    stop = keras.callbacks.EarlyStopping(
        monitor="val_score", mode="min", patience=2, restore_best_weights=True
    )
    fit(gan, data, [Report([2, 1, 3, 4, 5, 6]), remember, stop], epochs=6)
    assert len(remember.epochs) == 4
    assert equal(weights(gan), remember.epochs[1])


def test_csv_logger_writes_every_log(data, tmp_path):
    path = tmp_path / "log.csv"
    gan = make_gan()
    history = fit(
        gan, data, [keras.callbacks.CSVLogger(path)], validation_data=data
    )
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for name in ("generator_loss", "val_log_ratio_real", "velocity_norm"):
        np.testing.assert_allclose(
            [float(row[name]) for row in rows], history.history[name]
        )


def test_terminate_on_nan(data):
    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                bad = self.model.generator.get_weights()
                bad[0][:] = np.nan
                self.model.generator.set_weights(bad)

    gan, remember = make_gan(), Remember()
    fit(
        gan,
        data,
        [Poison(), keras.callbacks.TerminateOnNaN(), remember],
        epochs=4,
    )
    assert len(remember.epochs) == 2
    assert gan.stop_training


@pytest.mark.parametrize("which", ["generator", "discriminator", "both"])
def test_swap_ema_weights(data, which):
    def optimizer(role, rate):
        use_ema = which in (role, "both")
        return keras.optimizers.SGD(rate, use_ema=use_ema, ema_momentum=0.5)

    gan = make_gan(
        generator_optimizer=optimizer("generator", 0.1),
        discriminator_optimizer=optimizer("discriminator", 0.2),
    )
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
    gan.fit(
        data,
        batch_size=64,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[Follow(), swap, OnTest()],
        validation_data=data,
    )
    averaged = {
        "generator": range(4),
        "discriminator": range(4, 8),
        "both": range(8),
    }[which]
    for raw, seen in zip(epochs, evaluated):
        # Keras starts the average at the weights after the first update.
        averages = averages or [w.astype("float64") for w in raw]
        for i, (average, w) in enumerate(zip(averages, raw)):
            averages[i] = 0.5 * average + 0.5 * w
            want = averages[i] if i in averaged else w
            np.testing.assert_allclose(seen[i], want, rtol=1e-5, atol=1e-7)


def test_use_ema_ends_with_the_averages_of_both(data):
    gan = make_gan(
        generator_optimizer=keras.optimizers.SGD(0.1, use_ema=True),
        discriminator_optimizer=keras.optimizers.SGD(0.2, use_ema=True),
    )
    last = []

    class Last(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            optimizers = self.model.optimizer.optimizers
            last[:] = [
                ops.convert_to_numpy(v.value)
                for o in optimizers
                for v in o._model_variables_moving_average
            ]

    fit(gan, data, [Last()])
    assert equal(weights(gan), last)


def test_swap_ema_weights_says_when_it_has_nothing_to_do(data):
    with pytest.raises(ValueError, match="use_ema"):
        fit(
            make_gan(),
            data,
            [keras.callbacks.SwapEMAWeights()],
            validation_data=data,
        )


def test_lambda_callback_sees_logs(data):
    seen = []
    fit(
        make_gan(),
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
        "discriminator_loss",
        "log_ratio_real",
        "log_ratio_fake",
        "velocity_norm",
    }


def test_tensorboard_writes_scalars(data, tmp_path):
    pytest.importorskip("tensorboard")
    tf = pytest.importorskip("tensorflow")
    gan = make_gan()
    fit(
        gan,
        data,
        [keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)],
        validation_data=data,
    )
    tags = set()
    for path in pathlib.Path(tmp_path).rglob("*tfevents*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"epoch_generator_loss", "epoch_velocity_norm"} <= tags
    assert "evaluation_discriminator_loss_vs_iterations" in tags
    assert any("kernel" in tag for tag in tags)
