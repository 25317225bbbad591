import copy

import keras
import numpy as np
import pytest
from matplotlib.image import imread

from keras_monoflow.callbacks import SampleScatter, sample_scatter


@pytest.fixture
def plots(monkeypatch):
    """The arguments of all calls of `plot_scatter`."""
    calls = []
    plot = sample_scatter.plot_scatter

    def spy(data, samples, **kwargs):
        calls.append({"data": data, "samples": samples, **kwargs})
        return plot(data, samples, **kwargs)

    monkeypatch.setattr(sample_scatter, "plot_scatter", spy)
    return calls


@pytest.mark.slow
def test_pictures(stand_in, tmp_path, rng, plots):
    model = stand_in((2,))
    data = rng.normal(size=(40, 2))
    scatter = SampleScatter(tmp_path, data, samples=50, seed=3)
    model.fit_noise([scatter], epochs=2)
    for name in ("epoch_0001.png", "epoch_0002.png"):
        assert imread(tmp_path / name).shape[:2] == (720, 828)
    assert [call["title"] for call in plots] == ["Epoch 1", "Epoch 2"]
    assert plots[0]["limits"] == plots[1]["limits"]
    np.testing.assert_array_equal(plots[0]["data"], data)
    expected = model.sample(50, seed=3)
    np.testing.assert_allclose(plots[1]["samples"], expected, atol=1e-6)
    assert not np.allclose(plots[0]["samples"], expected, atol=1e-6)
    np.testing.assert_array_equal(
        plots[0]["velocity"](data), model.velocity(data)
    )


def test_large_data_are_thinned_after_the_limits_are_taken(tmp_path, rng):
    data = rng.uniform(0, 1, size=(300, 2))
    data[7] = (-2.0, 0.0)
    data[8] = (2.0, 0.0)
    scatter = SampleScatter(
        tmp_path, keras.ops.convert_to_tensor(data), samples=200
    )
    assert scatter.data.shape == (200, 2)
    rows = [np.abs(data - row).sum(axis=1).argmin() for row in scatter.data]
    np.testing.assert_allclose(data[rows], scatter.data, atol=1e-6)
    assert len(set(rows)) == 200
    assert scatter.limits[0] == (-3.0, 3.0)


@pytest.mark.slow
def test_limits_come_from_the_first_picture_without_data(
    stand_in, tmp_path, plots
):
    scatter = SampleScatter(tmp_path, samples=10, vector_field=False)
    stand_in((2,)).fit_noise([scatter], epochs=2)
    assert plots[0]["limits"] == plots[1]["limits"]
    samples = plots[0]["samples"]
    low, high = samples.min(axis=0), samples.max(axis=0)
    half = 0.75 * (high - low).max()
    np.testing.assert_allclose(
        plots[0]["limits"],
        np.stack([(low + high) / 2 - half, (low + high) / 2 + half], 1),
        rtol=1e-5,
    )


def test_another_training_gets_its_own_limits(stand_in, tmp_path, plots):
    free = SampleScatter(tmp_path, samples=10, vector_field=False)
    given = SampleScatter(
        tmp_path, samples=10, vector_field=False, limits=(-2, 2)
    )
    for latent_scale in (0.0, 50.0):
        model = stand_in((2,))
        bias = model.net.layers[0].bias
        bias.assign(np.float32([latent_scale, -latent_scale]))
        model.fit_noise([free, given], epochs=1)
    limits = [call["limits"] for call in plots]
    assert limits[0] != limits[2]
    assert limits[1] == limits[3] == ((-2.0, 2.0), (-2.0, 2.0))


def test_given_limits_and_no_field(stand_in, tmp_path, plots):
    scatter = SampleScatter(
        tmp_path, samples=10, vector_field=False, limits=(-2, 2)
    )
    stand_in((2,)).fit_noise([scatter], epochs=1)
    assert plots[0]["limits"] == ((-2.0, 2.0), (-2.0, 2.0))
    assert plots[0]["velocity"] is None
    assert imread(tmp_path / "epoch_0001.png").shape[:2] == (720, 720)


@pytest.mark.slow
def test_copies_work(stand_in, tmp_path, rng):
    scatter = SampleScatter(tmp_path, rng.normal(size=(9, 2)), samples=10)
    stand_in((2,)).fit_noise([copy.deepcopy(scatter)], epochs=1)
    assert (tmp_path / "epoch_0001.png").exists()


def test_samples_off_the_plane(stand_in, tmp_path):
    scatter = SampleScatter(tmp_path, samples=10)
    with pytest.raises(ValueError, match=r"\(4, 4\).*`SampleGrid`"):
        stand_in((4, 4)).fit_noise([scatter], epochs=1)


@pytest.mark.slow
def test_models_without_the_methods(stand_in, tmp_path):
    class Still(stand_in):
        velocity = None

    with pytest.raises(TypeError, match="method `velocity`"):
        Still((2,)).fit_noise([SampleScatter(tmp_path)], epochs=1)
    scatter = SampleScatter(tmp_path, samples=10, vector_field=False)
    Still((2,)).fit_noise([scatter], epochs=1)
    with pytest.raises(TypeError, match="method `sample`"):
        scatter.set_model(keras.Sequential())


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="samples=0"):
        SampleScatter(tmp_path, samples=0)
    with pytest.raises(ValueError, match="every=-1"):
        SampleScatter(tmp_path, every=-1)
    with pytest.raises(ValueError, match=r"`data`.*\(5, 3\)"):
        SampleScatter(tmp_path, np.zeros((5, 3)))
    with pytest.raises(ValueError, match="limits"):
        SampleScatter(tmp_path, limits=(1, 0))
