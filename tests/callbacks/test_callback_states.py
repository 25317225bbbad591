"""A run that is killed goes on with what its callbacks remembered."""

import contextlib

import keras
import numpy as np
import pytest
from helpers import make_networks, numpy

import keras_monoflow as kmf
from keras_monoflow.callbacks import flow_animation

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


def watch(folder, killed=False):
    """Trains four epochs with what draws and counts; may be killed in 2."""

    def kill(epoch, logs):
        if killed and epoch == 2:
            raise Killed

    keras.utils.set_random_seed(0)
    gan = kmf.MonoFlowGAN(*make_networks(), seed=3)
    gan.compile(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.5))
    watching = {
        "monitor": kmf.callbacks.FlowMonitor(samples=8),
        "scatter": kmf.callbacks.SampleScatter(folder / "scatter", samples=8),
        "film": kmf.callbacks.FlowAnimation(folder / "film.gif", samples=8),
    }
    data = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
    gan.fit(
        data,
        batch_size=16,
        epochs=4,
        shuffle=False,
        callbacks=[
            *watching.values(),
            kmf.callbacks.BackupAndRestore(folder / "backup"),
            keras.callbacks.LambdaCallback(on_epoch_begin=kill),
        ],
        verbose=0,
    )
    return watching


@pytest.mark.slow
def test_pictures_and_curves_of_a_killed_run(tmp_path):
    whole = watch(tmp_path / "whole")
    with pytest.raises(Killed):
        watch(tmp_path / "killed", killed=True)
    resumed = watch(tmp_path / "killed")
    assert [epoch for epoch, _ in resumed["monitor"].history] == [1, 2, 3, 4]
    assert resumed["monitor"].history == whole["monitor"].history
    for name in ("scatter", "film"):
        limits = whole[name].limits_of_samples
        assert resumed[name].limits_of_samples == limits
    files = [p / "scatter" / "epoch_0004.png" for p in tmp_path.iterdir()]
    assert len(files) == 2
    assert files[0].read_bytes() == files[1].read_bytes()


class KillAtTheEnd(keras.callbacks.Callback):
    """Ends a run after its last epoch, before a film is written."""

    def on_train_end(self, logs=None):
        raise Killed


def test_a_film_that_was_not_written(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        flow_animation,
        "write_film",
        lambda pictures, path, rate: written.append([p.stem for p in pictures]),
    )
    monkeypatch.setattr(
        flow_animation, "replacing", lambda *_: contextlib.nullcontext()
    )
    film = kmf.callbacks.FlowAnimation(
        tmp_path / "film.gif", samples=4, vector_field=False
    )
    film.frames.mkdir()
    (film.frames / "epoch_0003.png").touch()  # of a longer training

    def fit(*first):
        gan = kmf.MonoFlowGAN(*make_networks(), seed=3)
        gan.compile("sgd", "sgd")
        backup = kmf.callbacks.BackupAndRestore(tmp_path / "backup")
        data = np.zeros((4, 2), "float32")
        return gan.fit(
            data, epochs=2, verbose=0, callbacks=[*first, film, backup]
        )

    with pytest.raises(Killed):
        fit(KillAtTheEnd())
    assert written == []
    assert fit().epoch == []
    assert written == [["epoch_0001", "epoch_0002"]]
    # Another training with the same callback counts anew.
    film.on_train_begin()
    film.on_train_end()
    assert len(written) == 1


def test_limits_that_are_given_now_count(tmp_path):
    scatter = kmf.callbacks.SampleScatter(tmp_path, limits=(-1, 1))
    scatter.limits_of_samples = (-9, 9)
    assert scatter.limits == ((-1, 1), (-1, 1))
    assert scatter.limits_of_samples is None


@pytest.mark.slow
def test_batches_are_counted_on(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    data = np.zeros((8, 2), "float32")
    for epochs in (1, 3):
        gan = kmf.MonoFlowGAN(*make_networks())
        gan.compile("sgd", "sgd")
        board = kmf.callbacks.TensorBoard(tmp_path / "logs", update_freq=1)
        backup = kmf.callbacks.BackupAndRestore(
            tmp_path / "backup", delete_checkpoint=False
        )
        callbacks = [board, backup]
        gan.fit(
            data, batch_size=4, epochs=epochs, verbose=0, callbacks=callbacks
        )
    assert board._global_train_batch == 6


def test_a_log_that_would_be_emptied(tmp_path):
    gan = kmf.MonoFlowGAN(*make_networks())
    gan.compile("sgd", "sgd")
    backup = kmf.callbacks.BackupAndRestore(tmp_path / "backup")
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    with pytest.warns(UserWarning, match="Pass `append=True`"):
        gan.fit(np.zeros((4, 2)), verbose=0, callbacks=[log, backup])
