"""A film from pictures."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.plots.style import import_matplotlib
from keras_monoflow.typing import Array

_DOTS_PER_INCH = 100


def check_film(path: str | os.PathLike) -> pathlib.Path:
    """Returns the path of a film, if its kind is known.

    Raises:
        ValueError: If it ends in neither `.gif` nor `.mp4`, or is not in the
            file system.
    """
    if "://" in os.fspath(path):
        raise ValueError(
            "`path` must be a file of the file system. Received: "
            f"path={os.fspath(path)!r}"
        )
    path = pathlib.Path(path)
    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(
            f"`path` must end in .gif or .mp4. Received: path={str(path)!r}"
        )
    return path


def check_writer(path: pathlib.Path) -> None:
    """Checks that the programs that write a film are there.

    Raises:
        ImportError: If matplotlib is missing.
        RuntimeError: If ffmpeg is needed and missing.
    """
    import_matplotlib()
    from matplotlib.animation import FFMpegWriter

    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise RuntimeError(
            f"Writing {str(path)!r} needs the program ffmpeg, "
            "which was not found. Install it, or write a .gif."
        )


def write_film(
    files: Sequence[str | os.PathLike],
    path: str | os.PathLike,
    frames_per_second: int = 10,
) -> None:
    """Joins pictures of one size to a film that shows the last for a second.

    Needs matplotlib, and for MP4 the program ffmpeg.

    Args:
        files: Paths of the pictures, in order.
        path: The film, a path that ends in `.gif` or `.mp4`.
        frames_per_second: Positive integer.

    Raises:
        ValueError: If there are no files, or an argument is out of its range.
        RuntimeError: If ffmpeg is needed and missing.
    """
    if not files:
        raise ValueError("`files` must name at least one picture.")
    rate = check_integer("frames_per_second", frames_per_second, minimum=1)
    path = check_film(path)
    pictures = [pathlib.Path(file) for file in files]
    check_writer(path)
    from matplotlib.animation import FFMpegWriter, PillowWriter
    from matplotlib.figure import Figure

    first = _read(pictures[0])
    # A video codec needs even sides.
    width, height = (side + side % 2 for side in first.shape[1::-1])
    figure = Figure((width / _DOTS_PER_INCH, height / _DOTS_PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    shown = axes.imshow(first, interpolation="nearest", aspect="auto")
    writer_class = PillowWriter if path.suffix == ".gif" else FFMpegWriter
    writer = writer_class(fps=rate)
    with writer.saving(figure, path, dpi=_DOTS_PER_INCH):
        for picture in [*pictures, *[pictures[-1]] * rate]:
            shown.set_data(_read(picture))
            writer.grab_frame()


def _read(picture: pathlib.Path) -> Array:
    from matplotlib.image import imread

    image = imread(picture)
    # Matplotlib would give shades of gray the colors of a map.
    return np.stack([image] * 3, axis=-1) if image.ndim == 2 else image
