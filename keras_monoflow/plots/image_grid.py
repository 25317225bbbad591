"""Many small images laid out as a large one."""

import keras
import numpy as np

from keras_monoflow.arguments import (
    check_integer,
    check_range,
    check_range_of_bytes,
)
from keras_monoflow.typing import Array, ArrayLike

# Small images are enlarged to about this many pixels a side.
_VISIBLE_SIDE = 84
# Black and white images alike stand out from mid gray lines.
_BACKGROUND = 128


def image_grid(
    images: ArrayLike,
    columns: int | None = None,
    value_range: tuple[float, float] = (-1, 1),
    scale: int | None = None,
    separator: int = 1,
    data_format: str | None = None,
) -> Array:
    """Lays out images in a grid, row by row.

    Values are mapped linearly from `value_range` to 0..255 and clipped; NaN
    counts as the lowest value. Images are enlarged by repeating pixels.
    Gray, RGB and RGBA images are shown as such; with any other number of
    channels, the channels of an image are shown side by side in gray. The
    lines between images, and places left over in the last row, are mid gray.

    Args:
        images: Array or tensor of shape `(n, height, width)`,
            `(n, height, width, channels)` or, with
            `data_format="channels_first"`, `(n, channels, height, width)`.
        columns: Integer, images in a row. Defaults to the smallest number
            that makes the grid at least as wide as it is high.
        value_range: Pair `(low, high)`, the values of black and white.
            Defaults to `(-1, 1)`.
        scale: Integer, the side of the square that a pixel becomes. By default
            such that the longer side of an image has about 84 pixels: 3 for
            MNIST and CIFAR-10.
        separator: Integer, width in pixels of the lines between images.
            Defaults to `1`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.

    Returns:
        A NumPy array of dtype uint8 and shape `(grid_height, grid_width, 3)`,
        or `(grid_height, grid_width, 4)` for RGBA images.

    Raises:
        TypeError: If `columns`, `scale` or `separator` is not an integer.
        ValueError: If `images` has another rank or is empty, an argument is
            out of its range, or `images` are bytes while `value_range` is
            `(-1, 1)`.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    images = np.random.default_rng(0).uniform(-1, 1, (6, 28, 28, 1))
    grid = kmf.plots.image_grid(images, columns=3)
    print(grid.shape)  # (169, 254, 3)
    ```
    """
    images = _to_bytes(_as_channels_last(images, data_format), value_range)
    longest_side = max(images.shape[1:3])
    if scale is None:
        scale = max(1, round(_VISIBLE_SIDE / longest_side))
    scale = check_integer("scale", scale, minimum=1)
    images = _as_color(images).repeat(scale, axis=1).repeat(scale, axis=2)
    if columns is None:
        columns = _columns(*images.shape[:3])
    columns = check_integer("columns", columns, minimum=1)
    return _tile(
        images, columns, check_integer("separator", separator, minimum=0)
    )


def is_image_batch(shape: tuple[int, ...]) -> bool:
    """Returns whether `image_grid` can draw an array of this shape."""
    return len(shape) in (3, 4) and 0 not in shape


def _as_channels_last(images, data_format):
    images = keras.ops.convert_to_numpy(images)
    if not is_image_batch(images.shape):
        raise ValueError(
            "`images` must have the shape (n, height, width) or "
            "(n, height, width, channels), and not be empty. "
            f"Received: images.shape={images.shape}"
        )
    if data_format is None:
        data_format = keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            '`data_format` must be "channels_last" or "channels_first". '
            f"Received: data_format={data_format!r}"
        )
    if images.ndim == 3:
        return images[..., None]
    if data_format == "channels_first":
        return np.moveaxis(images, 1, -1)
    return images


def _to_bytes(images, value_range):
    low, high = check_range("value_range", value_range)
    check_range_of_bytes("value_range", (low, high), images)
    # Subtracting in float16 or in uint8 would round or wrap around.
    images = np.nan_to_num(images.astype("float64"), nan=low)
    unit = np.clip((images - low) / (high - low), 0.0, 1.0)
    return np.rint(255.0 * unit).astype("uint8")


def _as_color(images):
    channels = images.shape[-1]
    if channels in (3, 4):
        return images
    side_by_side = np.concatenate(np.split(images, channels, axis=-1), axis=2)
    return side_by_side.repeat(3, axis=-1)


def _columns(count, height, width):
    """The smallest number that makes a grid as wide as it is high."""
    for columns in range(1, count):
        rows = -(-count // columns)
        if columns * width >= rows * height:
            return columns
    return count


def _tile(images, columns, separator):
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    # Each tile brings the line to its right and below; the last is cut off.
    tiles = np.full(
        (rows * columns, height + separator, width + separator, channels),
        _BACKGROUND,
        dtype="uint8",
    )
    tiles[..., 3:] = 255  # the alpha channel, if there is one
    tiles[:count, :height, :width] = images
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:])
    grid = tiles.swapaxes(1, 2).reshape(
        rows * (height + separator), columns * (width + separator), channels
    )
    return grid[: grid.shape[0] - separator, : grid.shape[1] - separator]
