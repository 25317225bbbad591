"""FlowAnimation: films of points and images."""

import contextlib

import keras
import numpy as np
import pytest

from keras_monoflow import plots
from keras_monoflow.callbacks import (
    FlowAnimation,
    SampleGrid,
    SampleScatter,
    flow_animation,
)

Image = pytest.importorskip("PIL.Image")


def frames_of(path):
    """The frames of a GIF as arrays, and their durations."""
    with Image.open(path) as film:
        frames, durations = [], []
        for i in range(film.n_frames):
            film.seek(i)
            frames.append(np.asarray(film.convert("RGB")))
            durations.append(film.info["duration"])
        return frames, durations


def test_film_of_points(stand_in, tmp_path, rng):
    path = tmp_path / "flow.gif"
    film = FlowAnimation(
        path, rng.normal(size=(40, 2)), samples=50, frames_per_second=4
    )
    stand_in((2,)).fit_noise([film], epochs=3)
    names = sorted(p.name for p in (tmp_path / "flow_frames").iterdir())
    assert names == ["epoch_0001.png", "epoch_0002.png", "epoch_0003.png"]
    frames, durations = frames_of(path)
    pictures = [
        np.asarray(Image.open(tmp_path / "flow_frames" / n).convert("RGB"))
        for n in names
    ]
    assert frames[0].shape == pictures[0].shape
    # A GIF has 256 colours.
    errors = np.array(
        [[np.abs(f - p.astype(int)).mean() for p in pictures] for f in frames]
    )
    assert errors.argmin(axis=1).tolist() == [0, 1, 2]
    assert errors.diagonal().max() < 4
    # The last one is shown for a second more.
    assert durations == [250, 250, 1250]


@pytest.mark.slow
def test_film_of_images(stand_in, tmp_path):
    path = tmp_path / "digits.gif"
    film = FlowAnimation(path, samples=16, every=2)
    stand_in((5, 7, 1)).fit_noise([film], epochs=4)
    names = sorted(p.name for p in (tmp_path / "digits_frames").iterdir())
    assert names == ["epoch_0002.png", "epoch_0004.png"]
    height, width, _ = frames_of(path)[0][0].shape
    assert height % 2 == width % 2 == 0


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2,), (5, 7, 1)])
def test_pictures_are_those_of_the_other_callbacks(
    stand_in, tmp_path, rng, shape
):
    common, folder = {"every": 2, "seed": 3}, tmp_path / "other"
    data = rng.normal(size=(40, 2)) if shape == (2,) else None
    film = FlowAnimation(
        tmp_path / "a.gif", data, 24, vector_field=False, **common
    )
    if shape == (2,):
        other = SampleScatter(folder, data, 24, vector_field=False, **common)
    else:
        other = SampleGrid(folder, rows=3, columns=8, **common)
    stand_in(shape).fit_noise([film, other])
    a, b = (
        np.asarray(Image.open(tmp_path / name / "epoch_0002.png"))
        for name in ("a_frames", "other")
    )
    np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_interrupted_training_gives_a_whole_film(stand_in, tmp_path):
    path = tmp_path / "flow.gif"

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def fit(*more):
        film = FlowAnimation(path, samples=20, vector_field=False)
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        stand_in((2,)).fit_noise([backup, film, *more], epochs=4)

    with pytest.raises(KeyboardInterrupt):
        fit(Stop())
    assert not path.exists()
    fit()
    names = {p.name for p in (tmp_path / "flow_frames").iterdir()}
    assert names == {f"epoch_000{i}.png" for i in (1, 2, 3, 4)}
    assert path.exists()


@pytest.mark.slow
def test_film_of_a_shorter_training(stand_in, tmp_path):
    path = tmp_path / "flow.gif"
    for epochs in (3, 2):
        film = FlowAnimation(path, samples=20, vector_field=False)
        stand_in((2,)).fit_noise([film], epochs=epochs)
        assert len(frames_of(path)[0]) == epochs


def test_pictures_of_a_training_with_another_every(stand_in, tmp_path):
    for every, expected in [(1, 2), (2, 1)]:
        film = FlowAnimation(
            tmp_path / "flow.gif", samples=4, every=every, vector_field=False
        )
        stand_in((2,)).fit_noise([film], epochs=2)
        assert len(frames_of(film.path)[0]) == expected


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_film_of_pictures_of_any_kind(tmp_path, mode):
    """Shades of gray keep their brightness, and get no colors."""
    for level in (0, 128, 255):
        picture = Image.new("L", (20, 20), level).convert(mode)
        picture.save(tmp_path / f"{level}.png")
    plots.write_film(
        [tmp_path / f"{level}.png" for level in (0, 128, 255)],
        tmp_path / "film.gif",
    )
    frames, _ = frames_of(tmp_path / "film.gif")
    colors = np.array([frame[10, 10] for frame in frames], int)
    expected = np.repeat([[0], [128], [255]], 3, axis=1)
    np.testing.assert_allclose(colors[:3], expected, atol=4)


def test_pictures_stand_in_the_order_of_epochs(stand_in, tmp_path, monkeypatch):
    """Also where their names have more digits."""
    written = []
    monkeypatch.setattr(
        flow_animation,
        "write_film",
        lambda pictures, path, rate: written.extend(pictures),
    )
    monkeypatch.setattr(
        flow_animation, "replacing", lambda path, _: contextlib.nullcontext()
    )
    film = FlowAnimation(tmp_path / "flow.gif")
    film.frames.mkdir()
    for epoch in (9998, 9999, 10_000, 10_001, 10_002):
        (film.frames / f"epoch_{epoch:04d}.png").touch()
    film._last_epoch = 10_001
    film.on_train_end()
    names = [path.stem for path in written]
    assert names == [f"epoch_{n}" for n in (9998, 9999, 10_000, 10_001)]


def test_mp4_needs_ffmpeg(stand_in, tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter

    monkeypatch.setattr(FFMpegWriter, "isAvailable", lambda: False)
    with pytest.raises(RuntimeError, match="ffmpeg"):
        stand_in((2,)).fit_noise([FlowAnimation(tmp_path / "a.mp4")], epochs=1)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match=r"film\.avi"):
        FlowAnimation(tmp_path / "film.avi")
    with pytest.raises(ValueError, match="samples"):
        FlowAnimation("film.gif", samples=0)
    with pytest.raises(ValueError, match="every"):
        FlowAnimation("film.gif", every=0)
    with pytest.raises(ValueError, match="frames_per_second"):
        FlowAnimation("film.gif", frames_per_second=0)
    with pytest.raises(ValueError, match="at least one picture"):
        plots.write_film([], tmp_path / "film.gif")
