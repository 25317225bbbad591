import keras
import matplotlib.pyplot
import numpy as np
import pytest

from keras_monoflow.callbacks import plot_scatter


def find(axes, kind):
    return [c for c in axes.collections if type(c).__name__ == kind]


def test_points_and_labels(rng):
    data, samples = rng.normal(size=(30, 2)), rng.normal(size=(20, 2))
    axes = plot_scatter(data, samples, title="A title").axes[0]
    drawn = find(axes, "PathCollection")
    np.testing.assert_allclose(drawn[0].get_offsets(), data)
    np.testing.assert_allclose(drawn[1].get_offsets(), samples)
    labels = [text.get_text() for text in axes.get_legend().texts]
    assert labels == ["data", "generated"]
    assert axes.get_title(loc="left") == "A title"
    assert axes.get_aspect() == 1.0


def test_tensors(rng):
    samples = rng.normal(size=(20, 2)).astype("float16")
    axes = plot_scatter(None, keras.ops.convert_to_tensor(samples)).axes[0]
    (drawn,) = find(axes, "PathCollection")
    np.testing.assert_allclose(drawn.get_offsets(), samples)


def test_arrows_have_one_length_and_the_colour_of_the_speed(rng):
    def velocity(x):
        return np.stack([-x[:, 1], x[:, 0]], axis=1) * np.exp(x[:, :1])

    axes = plot_scatter(None, rng.normal(size=(9, 2)), velocity).axes[0]
    (quiver,) = find(axes, "Quiver")
    field = velocity(np.stack([quiver.X, quiver.Y], axis=1))
    speed = np.linalg.norm(field, axis=1)
    lengths = np.hypot(quiver.U, quiver.V)
    np.testing.assert_allclose(lengths, lengths[0])
    np.testing.assert_allclose(
        np.stack([quiver.U, quiver.V], axis=1) / lengths[:, None],
        field / speed[:, None],
        atol=1e-5,
    )
    np.testing.assert_allclose(quiver.get_array(), speed, rtol=1e-4)


def test_arrows_stand_inside_the_limits_on_square_cells():
    seen = []

    def velocity(x):
        seen.append(np.array(x))
        return np.ones_like(x)

    plot_scatter(None, np.zeros((1, 2)), velocity, limits=((-4, 4), (0, 2)))
    (points,) = seen
    assert points.dtype == np.float32
    assert points[:, 0].min() > -4
    assert points[:, 0].max() < 4
    assert points[:, 1].min() > 0
    assert points[:, 1].max() < 2
    steps = [np.diff(np.unique(points[:, i])) for i in (0, 1)]
    np.testing.assert_allclose(steps[0], 8 / 22, rtol=1e-4)
    np.testing.assert_allclose(steps[1], 8 / 22, rtol=1e-4)


def test_arrows_that_start_at_samples(rng):
    samples, moves = rng.normal(size=(2, 50, 2))
    axes = plot_scatter(None, samples, velocity=moves).axes[0]
    (arrows,) = (c for c in axes.collections if hasattr(c, "U"))
    np.testing.assert_allclose(arrows.get_offsets(), samples)
    speed = np.linalg.norm(moves, axis=1)
    drawn = np.stack([arrows.U, arrows.V], axis=1)
    lengths = np.linalg.norm(drawn, axis=1)
    np.testing.assert_allclose(lengths, lengths[0])
    np.testing.assert_allclose(drawn / lengths[0], moves / speed[:, None])
    np.testing.assert_allclose(arrows.get_array(), speed)
    with pytest.raises(ValueError, match="a vector for each of `samples`"):
        plot_scatter(None, samples, velocity=moves[:3])


def test_no_arrow_without_a_direction(tmp_path):
    def velocity(x):
        field = np.ones_like(x)
        field[:5] = 0.0
        field[5:7] = np.nan
        return field

    figure = plot_scatter(None, np.zeros((1, 2)), velocity)
    (quiver,) = find(figure.axes[0], "Quiver")
    assert len(quiver.X) == 22 * 22 - 7
    still = plot_scatter(None, np.zeros((1, 2)), np.zeros_like)
    assert not find(still.axes[0], "Quiver")
    figure.savefig(tmp_path / "constant_speed.png")
    still.savefig(tmp_path / "still.png")


def test_axes_stay_in_place_from_picture_to_picture(rng):
    samples = rng.normal(size=(9, 2))
    boxes = []
    for scale in (0.0, 1e-30, 1.0, 12345.0):
        figure = plot_scatter(
            None, samples, lambda x, s=scale: s * x, limits=(-3, 3)
        )
        figure.canvas.draw()
        boxes.append(figure.axes[0].get_window_extent().bounds)
    np.testing.assert_array_equal(boxes, [boxes[0]] * 4)


def test_limits():
    points = np.array([[0.0, 0.0], [4.0, 2.0]])
    axes = plot_scatter(points, points + 100.0).axes[0]
    # The larger side, 4, and a quarter of it as margin at either end.
    assert axes.get_xlim() == (-1.0, 5.0)
    assert axes.get_ylim() == (-2.0, 4.0)
    axes = plot_scatter(None, points, limits=(-3, 3)).axes[0]
    assert axes.get_xlim() == axes.get_ylim() == (-3.0, 3.0)


def test_limits_where_samples_have_diverged():
    points = np.array([[0.0, 0.0], [2.0, 2.0], [np.nan, 1.0], [np.inf, 0.0]])
    assert plot_scatter(None, points).axes[0].get_xlim() == (-0.5, 2.5)
    lost = np.full((3, 2), np.nan)
    assert plot_scatter(None, lost).axes[0].get_xlim() == (-1.0, 1.0)


def test_no_pyplot_figure(rng):
    before = matplotlib.pyplot.get_fignums()
    plot_scatter(None, rng.normal(size=(9, 2)), np.negative)
    assert matplotlib.pyplot.get_fignums() == before


def test_bad_arguments():
    points = np.zeros((3, 2))
    with pytest.raises(ValueError, match="must not both be `None`"):
        plot_scatter(None, None)
    with pytest.raises(ValueError, match=r"`data`.*\(3, 8, 8\).*SampleGrid"):
        plot_scatter(np.zeros((3, 8, 8)), points)
    with pytest.raises(ValueError, match=r"`samples`.*\(0, 2\)"):
        plot_scatter(points, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="`limits` must increase"):
        plot_scatter(points, points, limits=(3, -3))
    with pytest.raises(ValueError, match="`limits` must be"):
        plot_scatter(points, points, limits=(1, 2, 3))
    with pytest.raises(ValueError, match="a vector for each point"):
        plot_scatter(points, points, velocity=lambda x: x[:1])


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e5])
def test_labels_fit_into_the_picture(size):
    points = size * np.array([[-1.0, -1.0], [1.0, 1.0]])
    figure = plot_scatter(points, None, title="Epoch 1")
    figure.canvas.draw()
    (axes,) = figure.axes
    for tick in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        box = tick.get_window_extent()
        assert min(box.x0, box.y0) >= 0
