"""A run that is killed goes on with what its callbacks remembered."""

import keras
import numpy as np
import pytest
from helpers import make_networks, numpy

import keras_monoflow as kmf

#: The fourth epoch without a better value is the last: patience is 4. The rate
#: falls after two epochs without one.
SCORES = [3.0, 1.0, 2.5, 2.4, 2.3, 2.2, 2.1, 0.5]
LAST = 5


class Score(keras.callbacks.Callback):
    adds_to_logs = True

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = SCORES[epoch]


class Counter(keras.callbacks.Callback):
    """A user's own, with two numbers and some arrays to remember."""

    remembers = ("count", "sums", "nothing")
    nothing = None

    def on_train_begin(self, logs=None):
        self.count, self.sums = 0, [np.zeros(2), np.zeros(())]

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1
        self.sums = [total + epoch for total in self.sums]


class Killed(BaseException):
    """Ends a run as Ctrl-C does."""


def train(folder, killed_at=None, backup_first=False, patience=4):
    """Starts the program, which may be killed in an epoch from 0."""

    def kill(epoch, logs):
        if epoch == killed_at:
            raise Killed

    keras.utils.set_random_seed(0)
    gan = kmf.MonoFlowGAN(*make_networks(), seed=3)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), ema=0.5)
    known = {"monitor": "score", "mode": "min"}
    counter = Counter()
    callbacks = [
        keras.callbacks.EarlyStopping(
            patience=patience, restore_best_weights=True, **known
        ),
        keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.5, **known),
        keras.callbacks.ModelCheckpoint(
            folder / "best.weights.h5",
            save_best_only=True,
            save_weights_only=True,
            **known,
        ),
        Score(),
        counter,
        keras.callbacks.LambdaCallback(on_epoch_begin=kill),
    ]
    backup = kmf.callbacks.BackupAndRestore(folder / "backup")
    callbacks.insert(0 if backup_first else len(callbacks), backup)
    data = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
    history = gan.fit(
        data,
        batch_size=16,
        epochs=len(SCORES),
        shuffle=False,
        callbacks=callbacks,
        verbose=0,
    )
    return gan, history, counter


def state(gan):
    variables = [*gan.variables, *gan.optimizer.variables]
    return [numpy(v).copy() for v in variables]


@pytest.mark.parametrize("backup_first", [False, True])
@pytest.mark.parametrize("killed_at", [1, 4])
def test_a_killed_run_ends_as_one_that_was_not(
    tmp_path, killed_at, backup_first
):
    whole, history, counter = train(tmp_path)
    assert history.epoch[-1] == LAST
    best = (tmp_path / "best.weights.h5").stat().st_mtime_ns
    with pytest.raises(Killed):
        train(tmp_path, killed_at, backup_first)
    saved = (tmp_path / "best.weights.h5").stat().st_mtime_ns
    assert saved > best
    resumed, rest, again = train(tmp_path, backup_first=backup_first)
    assert rest.epoch == list(range(killed_at, LAST + 1))
    for name in ("learning_rate_generator", "generator_loss"):
        expected = history.history[name][killed_at:]
        assert rest.history[name] == expected, name
    for a, b in zip(state(resumed), state(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    # Epoch 1 was the best, so a later start saves nothing.
    now = (tmp_path / "best.weights.h5").stat().st_mtime_ns
    assert (now > saved) == (killed_at == 1)
    assert again.count == counter.count == LAST + 1
    for a, b in zip(again.sums, counter.sums, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_that_had_ended_is_not_trained_on(tmp_path):
    expected, _, _ = train(tmp_path)

    class KilledLast(kmf.callbacks.BackupAndRestore):
        def on_train_end(self, logs=None):
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmf.callbacks, "BackupAndRestore", KilledLast)
        with pytest.raises(Killed):
            train(tmp_path)
    with pytest.warns(UserWarning, match="`EarlyStopping` had ended the run"):
        again, history, _ = train(tmp_path)
    assert history.epoch == []
    for a, b in zip(state(again), state(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_patience_goes_on(tmp_path):
    class Keep(kmf.callbacks.BackupAndRestore):
        def __init__(self, path):
            super().__init__(path, delete_checkpoint=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmf.callbacks, "BackupAndRestore", Keep)
        train(tmp_path)
        _, history, _ = train(tmp_path, patience=6)
    assert history.epoch == [LAST + 1, LAST + 2]


def test_a_log_that_would_be_emptied(tmp_path):
    gan = kmf.MonoFlowGAN(*make_networks())
    gan.compile("sgd", "sgd")
    backup = kmf.callbacks.BackupAndRestore(tmp_path / "backup")
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    with pytest.warns(UserWarning, match="Pass `append=True`"):
        gan.fit(np.zeros((4, 2)), verbose=0, callbacks=[log, backup])
