"""A disk that is full names the callback and the file, and breaks none."""

import contextlib
import pathlib

import keras
import numpy as np
import pytest
from helpers import make_gan, numpy, slow_except

import keras_monoflow as kmf

resource = pytest.importorskip("resource")  # Windows has none.

C, K = kmf.callbacks, keras.callbacks


@contextlib.contextmanager
def no_file_longer_than(size):
    """A full disk, as far as a process can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class FullFrom(keras.callbacks.Callback):
    """The disk is full from the end of an epoch on."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch
        self.stack = contextlib.ExitStack()

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.stack.enter_context(no_file_longer_than(500))


@pytest.fixture(scope="module")
def gan():
    return make_gan()


def fit(gan, callbacks, epochs=1):
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    gan.fit(x, batch_size=8, epochs=epochs, callbacks=callbacks, verbose=0)


def contents(folder):
    files = (f for f in folder.rglob("*") if f.is_file())
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}


WRITERS = {
    "SampleScatter": lambda path: C.SampleScatter(path, vector_field=False),
    "FlowMonitor": lambda path: C.FlowMonitor(path, samples=8),
    "FlowAnimation": lambda path: C.FlowAnimation(
        path / "film.gif", vector_field=False
    ),
    "BackupAndRestore": lambda path: C.BackupAndRestore(path),
    "MonoFlowGAN.save": lambda path: K.ModelCheckpoint(path / "a.keras"),
    "MonoFlowGAN.save_weights": lambda path: K.ModelCheckpoint(
        path / "a.weights.h5", save_weights_only=True
    ),
}


LONG = {"FlowMonitor"}


@pytest.mark.parametrize("name", slow_except(WRITERS.keys() - LONG, WRITERS))
def test_disk_that_gets_full(gan, tmp_path, name):
    before, full = {}, FullFrom(1)

    def look(epoch, logs):
        before.update(contents(tmp_path))

    look = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    with full.stack, pytest.raises(OSError, match=name) as error:
        fit(gan, [full, look, WRITERS[name](tmp_path)], epochs=3)
    assert str(tmp_path) in str(error.value)
    # What was there is there; nothing half written is.
    assert before
    assert contents(tmp_path) == before
    assert np.isfinite(gan.sample(3)).all()


@pytest.mark.slow
def test_film_that_cannot_be_written(gan, tmp_path):
    film = tmp_path / "film.gif"
    fit(gan, [C.FlowAnimation(film, vector_field=False)])
    old = film.read_bytes()
    again = C.FlowAnimation(film, vector_field=False)
    full = FullFrom(9)

    def fill(logs):
        full.on_epoch_end(9)

    fill = keras.callbacks.LambdaCallback(on_train_end=fill)
    with full.stack, pytest.raises(OSError, match=r"FlowAnimation.*film\.gif"):
        fit(gan, [fill, again], epochs=2)
    assert film.read_bytes() == old


@pytest.mark.slow
@pytest.mark.parametrize("histograms", [False, True])
def test_tensorboard_on_a_full_disk(gan, tmp_path, histograms):
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    full, others = FullFrom(1), [C.FlowMonitor()] if histograms else []
    callbacks = [full, *others, C.TensorBoard(tmp_path)]
    with full.stack, pytest.raises(OSError, match="`TensorBoard` cannot"):
        fit(gan, callbacks, epochs=4)


def test_grid_on_a_full_disk(tmp_path):
    grid = C.SampleGrid(tmp_path, rows=1, columns=1)
    images = np.random.default_rng(0).normal(size=(1, 28, 28))

    class Model:
        def sample(self, n, seed=None):
            return images

    grid.set_model(Model())
    grid.on_train_begin()
    with no_file_longer_than(500), pytest.raises(OSError, match="SampleGrid"):
        grid.on_epoch_end(0)
    assert not list(tmp_path.iterdir())


FOLDERS = {
    **{n: w for n, w in WRITERS.items() if "save" not in n},
    "SampleGrid": lambda path: C.SampleGrid(path),
    "TensorBoard": lambda path: C.TensorBoard(path),
    "ModelCheckpoint": lambda path: K.ModelCheckpoint(path / "a.keras"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_that_is_a_file(gan, tmp_path, name):
    if name == "TensorBoard":
        pytest.importorskip("tensorboard")
        pytest.importorskip("tensorflow")
    path = tmp_path / "file"
    path.write_text("")
    rounds = int(numpy(gan.rounds_counter))
    with pytest.raises(OSError, match=f"{name}.*{path}"):
        fit(gan, [FOLDERS[name](path)])
    assert int(numpy(gan.rounds_counter)) == rounds


@pytest.mark.parametrize(
    "make",
    [
        lambda place: kmf.callbacks.SampleGrid(place),
        lambda place: kmf.callbacks.SampleScatter(place),
        lambda place: kmf.callbacks.FlowMonitor(place),
        lambda place: kmf.callbacks.FlowAnimation(place + "/a.gif"),
        lambda place: kmf.callbacks.BackupAndRestore(place),
    ],
)
def test_places_that_are_no_folders(gan, make, tmp_path, monkeypatch):
    """They were written to a local folder called "gs:"."""
    monkeypatch.chdir(tmp_path)
    x = np.zeros((8, 2), "float32")
    with pytest.raises(ValueError, match="gs://bucket"):
        gan.fit(x, callbacks=[make("gs://bucket/a")], verbose=0)
    assert not list(tmp_path.iterdir())


def test_new_files_take_the_place_of_old_ones(tmp_path):
    path = pathlib.Path(tmp_path, "a", "b.txt")
    with kmf.files.replacing(path, "Writer") as new:
        pathlib.Path(new).write_text("first")
    with (
        contextlib.suppress(KeyError),
        kmf.files.replacing(path, "Writer") as new,
    ):
        pathlib.Path(new).write_text("second")
        raise KeyError
    assert path.read_text() == "first"
    with kmf.files.replacing(path, "Writer"):
        pass  # Nothing is written.
    assert [f.name for f in path.parent.iterdir()] == ["b.txt"]
