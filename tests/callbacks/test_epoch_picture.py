"""The pictures must not change the training that they show."""

import random

import keras
import numpy as np
import pytest

from keras_monoflow.callbacks import SampleGrid, SampleScatter


def train(stand_in, shape, callbacks):
    """Weights after a training, and what each random source gives next."""
    keras.utils.set_random_seed(1)
    model = stand_in(shape)
    model.fit_noise(callbacks, epochs=3)
    return [
        *model.get_weights(),
        keras.ops.convert_to_numpy(keras.random.normal((4,))),
        np.random.random(4),
        np.array([random.random()]),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grid", "scatter"])
def test_training_is_left_alone(stand_in, tmp_path, kind):
    if kind == "grid":
        shape, callback = (4, 4), SampleGrid(tmp_path, rows=2)
    else:
        data = np.random.default_rng(0).normal(size=(60, 2))
        shape, callback = (2,), SampleScatter(tmp_path, data, samples=30)
    alone = train(stand_in, shape, [])
    watched = train(stand_in, shape, [callback])
    for expected, received in zip(alone, watched, strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.slow
def test_the_stand_in_would_notice(stand_in, tmp_path):
    class Greedy(SampleGrid):
        def draw(self, samples, epoch, filename):
            keras.random.normal((1,))

    alone = train(stand_in, (4, 4), [])
    watched = train(stand_in, (4, 4), [Greedy(tmp_path)])
    same = [np.array_equal(a, b) for a, b in zip(alone, watched)]
    assert not all(same)


@pytest.mark.slow
def test_backup_and_restore(stand_in, tmp_path):
    """A resumed training draws the pictures that were not drawn yet."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def fit(folder, *more):
        keras.utils.set_random_seed(1)
        model = stand_in((4, 4))
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        grid = SampleGrid(tmp_path / folder)
        model.fit_noise([backup, grid, *more], epochs=3)

    with pytest.raises(KeyboardInterrupt):
        fit("pictures", Stop())
    (tmp_path / "pictures" / "epoch_0001.png").unlink()
    fit("pictures")
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["epoch_0002.png", "epoch_0003.png"]
