"""A backup survives a kill at any moment of its writing."""

import os
import shutil
import warnings

import h5py
import keras
import numpy as np
import pytest
from helpers import make_networks, numpy

import keras_monoflow as kmf

EPOCHS = 3
Backup = kmf.callbacks.BackupAndRestore


class Killed(BaseException):
    """Ends a run as Ctrl-C does."""


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).normal(size=(48, 2)).astype("float32")


class Trainer:
    """Starts the same program again and again, in one process."""

    def __init__(self, data):
        self.data = data
        self.model = kmf.MonoFlowGAN(*make_networks(dropout=0.3), seed=3)
        adam = keras.optimizers.Adam
        self.model.compile(adam(0.01), adam(0.02), ema=0.9)
        self.start = self.state()
        self.run()
        self.expected = self.state()

    def variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def state(self):
        return [numpy(v).copy() for v in self.variables()]

    def run(self, *callbacks, epochs=EPOCHS, **kwargs):
        """Trains from the first state, or what callbacks restore; returns the
        epochs."""
        for variable, value in zip(self.variables(), self.start):
            variable.assign(value)
        history = self.model.fit(
            self.data,
            batch_size=16,
            epochs=epochs,
            shuffle=False,
            callbacks=list(callbacks),
            verbose=0,
            **kwargs,
        )
        return history.epoch

    def assert_unbroken(self):
        for i, (a, b) in enumerate(zip(self.state(), self.expected)):
            np.testing.assert_array_equal(a, b, err_msg=f"variable {i}")

    def interrupt(self, *callbacks, epoch=2, error=Killed):
        def stop(now, logs):
            if now == epoch:
                raise error

        stop = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
        with pytest.raises(error):
            self.run(*callbacks, stop)


@pytest.fixture(scope="module")
def trainer(data):
    return Trainer(data)


def cut(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


#: Nothing else changes files: between two of these calls nothing happens.
CHANGES = [
    (os, "makedirs"),
    (os, "fsync"),
    (os, "replace"),
    (os, "remove"),
    (os, "rmdir"),
]
OPENING = [(h5py.File, "__init__"), (h5py.File, "close")]


def around(changes, monkeypatch, act):
    """Calls `act(name, done)` before and after each of these calls."""

    def wrapped(name, original):
        def call(*args, **kwargs):
            act(name, done=False)
            try:
                return original(*args, **kwargs)
            finally:
                act(name, done=True)

        return call

    for owner, name in changes:
        monkeypatch.setattr(owner, name, wrapped(name, getattr(owner, name)))


def content(folder):
    if not folder.exists():
        return None
    # What is not finished is never read.
    return {
        f.name: b"" if f.name.startswith("unfinished") else f.read_bytes()
        for f in folder.iterdir()
    }


def disks(trainer, folder, **arguments):
    """All contents that a folder has while a run writes backups there."""
    seen = []

    def look(name, done):
        now = content(folder)
        if now not in seen[-1:]:
            seen.append(now)

    with pytest.MonkeyPatch.context() as patch:
        around(CHANGES + OPENING, patch, look)
        trainer.run(Backup(folder, **arguments))
    trainer.assert_unbroken()
    return seen


def restore_disk(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    if files is not None:
        folder.mkdir()
        for name, value in files.items():
            (folder / name).write_bytes(value)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{}, {"double_checkpoint": False}])
def test_a_kill_at_any_moment_loses_nothing(trainer, tmp_path, arguments):
    states = disks(trainer, tmp_path / "a", **arguments)
    # In each epoch: unfinished, the latest moved away, new.
    assert len(states) >= (3 if not arguments else 2) * EPOCHS
    first = set()
    for files in states:
        restore_disk(tmp_path / "b", files)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            epochs = trainer.run(Backup(tmp_path / "b", **arguments))
        trainer.assert_unbroken()
        first.add(len(epochs))
    assert first == set(range(EPOCHS + 1))


@pytest.mark.slow
def test_an_error_at_any_moment_loses_nothing(trainer, tmp_path):
    """Of the disk, say: the run ends with a message and can be resumed."""
    names, messages, number = set(), [], 1
    while True:
        folder = tmp_path / str(number)
        trainer.interrupt(Backup(folder), epoch=1)
        calls = []

        def fail(name, done, calls=calls, number=number):
            if not done:
                calls.append(name)
            if len(calls) == number and not done:
                raise OSError(28, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            around(CHANGES, patch, fail)
            try:
                trainer.run(Backup(folder, delete_checkpoint=False))
            except OSError as error:
                names.add(calls[number - 1])
                messages.append((str(folder), str(error)))
            else:
                break
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            trainer.run(Backup(folder))
        trainer.assert_unbroken()
        number += 1
    for path, message in messages:
        assert "`BackupAndRestore` cannot write" in message
        assert path in message
    assert names >= {"makedirs", "fsync", "replace"}


@pytest.mark.slow
def test_latest_that_was_cut_short(trainer, tmp_path):
    trainer.interrupt(Backup(tmp_path))
    cut(tmp_path / "latest.weights.h5")
    with pytest.warns(UserWarning, match="cut short.*with epoch 2"):
        assert trainer.run(Backup(tmp_path, delete_checkpoint=False)) == [1, 2]
    trainer.assert_unbroken()
    # It was replaced, and no good one by a bad one in between.
    assert trainer.run(Backup(tmp_path)) == []
    assert not tmp_path.exists()


@pytest.mark.slow
def test_the_good_backup_is_kept_until_there_is_a_better_one(trainer, tmp_path):
    trainer.interrupt(Backup(tmp_path))
    cut(tmp_path / "latest.weights.h5")
    good = (tmp_path / "previous.weights.h5").read_bytes()
    with pytest.warns(UserWarning, match="cut short"):
        trainer.interrupt(Backup(tmp_path))
    assert (tmp_path / "previous.weights.h5").read_bytes() == good
    assert trainer.run(Backup(tmp_path)) == [2]
    trainer.assert_unbroken()


@pytest.mark.slow
@pytest.mark.parametrize("position", [0.3, 0.6, 0.9])
def test_values_that_changed_on_the_disk(trainer, tmp_path, position):
    trainer.interrupt(Backup(tmp_path))
    with h5py.File(tmp_path / "latest.weights.h5", "r+") as file:
        arrays = []
        file.visititems(
            lambda _, item: (
                arrays.append(item) if isinstance(item, h5py.Dataset) else None
            )
        )
        array = arrays[int(position * len(arrays))]
        array[...] = array[()] + 1
    with pytest.warns(UserWarning, match="does not hold what was written"):
        trainer.run(Backup(tmp_path))
    trainer.assert_unbroken()


@pytest.mark.slow
def test_all_backups_that_were_cut_short(trainer, tmp_path):
    trainer.interrupt(Backup(tmp_path))
    for path in tmp_path.iterdir():
        cut(path)
    with pytest.raises(ValueError, match=r"(?s)No backup.*cut short.*Delete"):
        trainer.run(Backup(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2


def test_backup_of_another_callback(trainer, tmp_path):
    trainer.interrupt(keras.callbacks.BackupAndRestore(tmp_path))
    with pytest.raises(ValueError, match="was not written by"):
        trainer.run(Backup(tmp_path))


def test_backups_between_batches(trainer, tmp_path):
    """As in Keras, the epoch begins anew; but its number is right."""

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(numpy(self.model.rounds_counter)) == 5:
                raise Killed

    with pytest.raises(Killed):
        trainer.run(Backup(tmp_path, save_freq=2), Stop())
    with h5py.File(tmp_path / "latest.weights.h5") as file:
        assert (file.attrs["kmf_epoch"], file.attrs["kmf_batch"]) == (1, 1)
    assert trainer.run(Backup(tmp_path, save_freq=2)) == [1, 2]
    assert int(numpy(trainer.model.rounds_counter)) == 4 + 6


def test_a_process_that_does_not_write(trainer, tmp_path):
    """`fit` makes it of all but the first process."""
    trainer.interrupt(Backup(tmp_path))
    before = content(tmp_path)
    backup = Backup(tmp_path)
    backup.only_reads = True
    assert trainer.run(backup) == [2]
    trainer.assert_unbroken()
    assert content(tmp_path) == before


def test_files_of_others_stay(trainer, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    trainer.run(Backup(tmp_path), epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_the_next_fit_starts_at_its_own_epoch(trainer, tmp_path):
    trainer.interrupt(Backup(tmp_path))
    assert trainer.run(Backup(tmp_path)) == [2]
    assert trainer.run() == [0, 1, 2]
    trainer.assert_unbroken()
    trainer.interrupt(keras.callbacks.BackupAndRestore(tmp_path))
    trainer.run(keras.callbacks.BackupAndRestore(tmp_path))
    assert trainer.run(Backup(tmp_path)) == [0, 1, 2]
    trainer.assert_unbroken()


@pytest.mark.slow
def test_plain_keras_model(tmp_path, data):
    def make():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Dense(1)])
        model.build((None, 2))
        model.compile(keras.optimizers.Adam(0.1), "mse")
        return model

    def fit(model, *callbacks):
        model.fit(
            data,
            data[:, :1],
            epochs=3,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
        )
        return model.get_weights()

    def stop(epoch, logs):
        if epoch == 2:
            raise Killed

    expected = fit(make())
    stop = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    with pytest.raises(Killed):
        fit(make(), Backup(tmp_path), stop)
    for a, b in zip(fit(make(), Backup(tmp_path)), expected):
        np.testing.assert_array_equal(a, b)


def test_folder_that_cannot_be_written(trainer, tmp_path):
    (tmp_path / "file").write_text("")
    rounds = int(numpy(trainer.model.rounds_counter))
    for folder in (tmp_path / "file", tmp_path / "file" / "backup"):
        with pytest.raises(OSError, match=f"BackupAndRestore.*{folder}"):
            trainer.run(Backup(folder))
    assert int(numpy(trainer.model.rounds_counter)) in (0, rounds)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backup_dir": ""}, ValueError, "backup_dir"),
        ({"backup_dir": "gs://bucket/a"}, ValueError, "gs://bucket/a"),
        ({"backup_dir": "a", "save_freq": 0}, ValueError, "save_freq=0"),
        ({"backup_dir": "a", "save_freq": False}, TypeError, "save_freq"),
        ({"backup_dir": "a", "save_freq": "batch"}, ValueError, "batch"),
        ({"backup_dir": "a", "save_freq": 1.5}, TypeError, "save_freq=1.5"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Backup(**arguments)


# ------------------------------------------------------- Keras's own backup


def torn(trainer, folder):
    """What a kill between the two files of Keras leaves."""
    backup = keras.callbacks.BackupAndRestore
    trainer.interrupt(backup(folder), epoch=1)
    metadata = (folder / "training_metadata.json").read_bytes()
    trainer.interrupt(backup(folder), epoch=2)
    (folder / "training_metadata.json").write_bytes(metadata)


@pytest.mark.slow
def test_backup_of_keras_that_was_torn_apart(trainer, tmp_path):
    torn(trainer, tmp_path)
    with pytest.warns(UserWarning, match="round 6, but says that epoch 2"):
        trainer.run(keras.callbacks.BackupAndRestore(tmp_path))
    # The first one, before there were metadata.
    torn(trainer, tmp_path / "b")
    (tmp_path / "b" / "training_metadata.json").unlink()
    with pytest.warns(UserWarning, match="round 6, but says that epoch 1"):
        trainer.run(keras.callbacks.BackupAndRestore(tmp_path / "b"))


@pytest.mark.slow
def test_whole_backups_of_keras_give_no_warning(trainer, tmp_path):
    backup = keras.callbacks.BackupAndRestore
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trainer.interrupt(backup(tmp_path))
        trainer.run(backup(tmp_path, delete_checkpoint=False))
        # Going on in the same process.
        trainer.model.fit(
            trainer.data,
            batch_size=16,
            epochs=EPOCHS + 1,
            callbacks=[backup(tmp_path)],
            verbose=0,
        )
        # In the middle of an epoch.
        trainer.interrupt(backup(tmp_path, save_freq=2))
        trainer.run(backup(tmp_path, save_freq=2))
