import keras
import numpy as np
import pytest

from keras_monoflow.callbacks import image_grid


def pixels_by_loop(images, columns, low, high, scale, separator):
    """The grid of channels-last RGB(A) or grey images, pixel by pixel."""
    n, height, width, channels = images.shape
    rows = int(np.ceil(n / columns))
    depth = 4 if channels == 4 else 3
    grid = np.full(
        (
            rows * (height * scale + separator) - separator,
            columns * (width * scale + separator) - separator,
            depth,
        ),
        128,
    )
    if depth == 4:
        grid[..., 3] = 255
    for k in range(n):
        top = (k // columns) * (height * scale + separator)
        left = (k % columns) * (width * scale + separator)
        for i in range(height * scale):
            for j in range(width * scale):
                for c in range(depth):
                    value = images[
                        k, i // scale, j // scale, c % channels
                    ].astype("float64")
                    value = (min(max(value, low), high) - low) / (high - low)
                    grid[top + i, left + j, c] = round(255 * value)
    return grid


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_pixels(rng, channels, dtype):
    # Some values lie outside the range and have to be clipped.
    images = rng.uniform(-0.5, 2.5, (5, 3, 4, channels)).astype(dtype)
    grid = image_grid(
        images, columns=2, value_range=(0, 2), scale=2, separator=1
    )
    expected = pixels_by_loop(images, 2, 0.0, 2.0, 2, 1)
    assert grid.dtype == np.uint8
    np.testing.assert_array_equal(grid, expected)


def test_black_and_white():
    images = np.array([[[-1.0, 1.0]], [[-7.0, 7.0]]])
    grid = image_grid(images, columns=1, scale=1, separator=0)
    np.testing.assert_array_equal(grid[..., 0], [[0, 255], [0, 255]])


def test_not_finite_values():
    images = np.array([[[np.nan, np.inf, -np.inf]]])
    grid = image_grid(images, scale=1)
    np.testing.assert_array_equal(grid[0, :, 0], [0, 255, 0])


def test_uint8_images(rng):
    images = rng.integers(0, 256, (2, 3, 3, 3)).astype("uint8")
    grid = image_grid(
        images, columns=2, value_range=(0, 255), scale=1, separator=0
    )
    np.testing.assert_array_equal(grid[:, 3:], images[1])
    with pytest.raises(ValueError, match=r"bytes.*value_range=\(0, 255\)"):
        image_grid(images)


def test_images_without_channels_axis(rng):
    images = rng.uniform(-1, 1, (4, 5, 6))
    np.testing.assert_array_equal(
        image_grid(images), image_grid(images[..., None])
    )


def test_other_channels_are_shown_side_by_side(rng):
    images = rng.uniform(-1, 1, (1, 4, 3, 2))
    expected = np.concatenate([images[..., 0], images[..., 1]], axis=2)
    np.testing.assert_array_equal(
        image_grid(images, scale=1), image_grid(expected, scale=1)
    )


def test_channels_first(rng):
    images = rng.uniform(-1, 1, (3, 4, 5, 3))
    first = np.transpose(images, (0, 3, 1, 2))
    np.testing.assert_array_equal(
        image_grid(first, data_format="channels_first"), image_grid(images)
    )


def test_tensors(rng):
    images = rng.uniform(-1, 1, (3, 4, 5, 1)).astype("float32")
    tensor = keras.ops.convert_to_tensor(images)
    np.testing.assert_array_equal(image_grid(tensor), image_grid(images))


def test_small_images_are_enlarged():
    # Three by three pixels for each of the 28 x 28, and a line between.
    assert image_grid(np.zeros((4, 28, 28))).shape == (169, 169, 3)
    assert image_grid(np.zeros((4, 200, 200))).shape == (401, 401, 3)


def test_default_columns_are_at_least_the_rows():
    assert image_grid(np.zeros((5, 8, 8)), scale=1).shape == (17, 26, 3)
    # One row of high images, one column of wide ones, and their neighbors.
    for shape in ((6, 40, 10), (6, 10, 40), (6, 100, 1), (7, 30, 20)):
        grid = image_grid(np.zeros(shape), scale=1, separator=0)
        count, height, width = shape
        columns = grid.shape[1] // width
        assert grid.shape[1] >= grid.shape[0] or columns == count
        fewer = columns - 1
        assert fewer * width < -(-count // max(fewer, 1)) * height


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`images`.*\(3, 2\)"):
        image_grid(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"not be empty.*\(0, 2, 2\)"):
        image_grid(np.zeros((0, 2, 2)))
    images = np.zeros((2, 4, 4))
    with pytest.raises(ValueError, match=r"value_range=\(1, 1\)"):
        image_grid(images, value_range=(1, 1))
    with pytest.raises(ValueError, match="columns=0"):
        image_grid(images, columns=0)
    with pytest.raises(TypeError, match=r"scale=1\.5"):
        image_grid(images, scale=1.5)
    with pytest.raises(ValueError, match="separator=-1"):
        image_grid(images, separator=-1)
    with pytest.raises(ValueError, match="data_format='nhwc'"):
        image_grid(images, data_format="nhwc")
