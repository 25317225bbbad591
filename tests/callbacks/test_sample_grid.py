import copy
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from keras_monoflow.callbacks import SampleGrid, image_grid


def read(path):
    """The RGB bytes of a PNG."""
    return np.rint(255 * imread(path)[..., :3]).astype("uint8")


def test_pictures_show_the_samples_of_fixed_latents(stand_in, tmp_path):
    model = stand_in((6, 6, 3))
    grid = SampleGrid(tmp_path, rows=2, columns=3, seed=5)
    model.fit_noise([grid], epochs=3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch_0001.png", "epoch_0002.png", "epoch_0003.png"]

    samples = model.sample(6, seed=5)
    np.testing.assert_array_equal(
        read(tmp_path / "epoch_0003.png"), image_grid(samples, columns=3)
    )
    first = read(tmp_path / "epoch_0001.png")
    assert not np.array_equal(first, read(tmp_path / "epoch_0003.png"))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 4)])
def test_image_shapes(stand_in, tmp_path, shape):
    model = stand_in(shape)
    model.fit_noise([SampleGrid(tmp_path, rows=1, columns=2)], epochs=1)
    width = 2 if shape == (5, 7, 2) else 1
    picture = read(tmp_path / "epoch_0001.png")
    assert picture.shape == (5 * 12, 2 * width * 7 * 12 + 1, 3)


def test_every(stand_in, tmp_path):
    stand_in((4, 4)).fit_noise([SampleGrid(tmp_path, every=2)], epochs=5)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch_0002.png", "epoch_0004.png"]


def test_value_range(stand_in, tmp_path):
    model = stand_in((4, 4))
    grid = SampleGrid(tmp_path, rows=1, columns=1, value_range=(-9, -5))
    model.fit_noise([grid], epochs=1)
    assert read(tmp_path / "epoch_0001.png").min() == 255


def test_existing_files_are_overwritten(stand_in, tmp_path):
    (tmp_path / "epoch_0001.png").write_bytes(b"an older file")
    stand_in((4, 4)).fit_noise([SampleGrid(tmp_path)], epochs=1)
    assert read(tmp_path / "epoch_0001.png").ndim == 3


def test_later_epochs_keep_their_numbers(stand_in, tmp_path):
    grid = SampleGrid(tmp_path / "new" / "folder")
    stand_in((4, 4)).fit_noise([grid], epochs=4, initial_epoch=3)
    (picture,) = (tmp_path / "new" / "folder").iterdir()
    assert picture.name == "epoch_0004.png"


def test_copies_work(stand_in, tmp_path):
    grid = copy.deepcopy(SampleGrid(tmp_path))
    stand_in((4, 4)).fit_noise([copy.deepcopy(grid)], epochs=1)
    assert (tmp_path / "epoch_0001.png").exists()


def test_samples_that_are_no_images(stand_in, tmp_path):
    grid = SampleGrid(tmp_path)
    with pytest.raises(ValueError, match=r"\(2,\).*`SampleScatter`"):
        stand_in((2,)).fit_noise([grid], epochs=1)


def test_bad_arguments(stand_in, tmp_path):
    for name in ("rows", "columns", "every"):
        with pytest.raises(ValueError, match=f"`{name}`.*{name}=0"):
            SampleGrid(tmp_path, **{name: 0})
    grid = SampleGrid(tmp_path, seed=None)
    with pytest.raises(TypeError, match=r"`seed`.*seed=None"):
        stand_in((4, 4)).fit_noise([grid], epochs=1)
    with pytest.raises(ValueError, match="value_range=3"):
        SampleGrid(tmp_path, value_range=3)


def test_missing_matplotlib(stand_in, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"keras-monoflow\[plot\]"):
        stand_in((4, 4)).fit_noise([SampleGrid(tmp_path)], epochs=1)
