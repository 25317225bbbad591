"""Points in the plane, and the vector field that moves them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_monoflow.plots.limits import check_limits, square_around
from keras_monoflow.plots.style import (
    DATA_COLOR,
    SAMPLE_COLOR,
    import_matplotlib,
)
from keras_monoflow.typing import Array, ArrayLike

_SPEED_COLORS = ["#e3e7eb", "#2f3b48"]
_ARROWS_PER_SIDE = 22


def plot_scatter(
    data: ArrayLike | None,
    samples: ArrayLike | None,
    velocity: Callable[[Array], ArrayLike] | ArrayLike | None = None,
    limits: Any = None,
    title: str | None = None,
) -> Any:
    """Draws data, generated samples and a vector field in the plane.

    All arrows of the field have the same length; their color gives the speed,
    on a logarithmic scale, because it spans orders of magnitude. Where the
    speed is zero or not finite there is no arrow.

    The figure belongs to no window and to no pyplot state: save it with
    `figure.savefig(...)`, or let a notebook show it. Needs matplotlib:
    `pip install "keras-monoflow[plot]"`.

    Args:
        data: Array or tensor of shape `(n, 2)`, or `None`.
        samples: Array or tensor of shape `(m, 2)`, or `None`.
        velocity: Function from points of shape `(k, 2)` to vectors of that
            shape, in data units per unit of time; for instance
            `model.velocity`. Or the vectors of the samples, of shape `(m, 2)`,
            where there is no field: arrows then start at some of the samples.
            Defaults to `None`, no arrows.
        limits: `(low, high)` for both axes, or
            `((x_low, x_high), (y_low, y_high))`. Defaults to a square around
            the data, or around the samples where there are no data.
        title: String, or `None`.

    Returns:
        A `matplotlib.figure.Figure` of 6 x 6 inches and 120 dots per inch,
        or 6.9 inches wide where the color bar of the speed is shown.

    Raises:
        ValueError: If points are not two-dimensional, if both `data` and
            `samples` are `None`, if there is not one vector for each point, or
            if `limits` do not increase.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    figure = kmf.plots.plot_scatter(
        data=rng.normal(size=(500, 2)),
        samples=rng.normal(size=(500, 2)) + 1.0,
        velocity=lambda x: -x,
        title="Toward the origin",
    )
    figure.savefig("scatter.png")
    ```
    """
    data = None if data is None else as_points("data", data)
    samples = None if samples is None else as_points("samples", samples)
    reference = samples if data is None else data
    if reference is None:
        raise ValueError("`data` and `samples` must not both be `None`.")
    limits = check_limits(
        square_around(reference) if limits is None else limits
    )

    figure, axes = _empty_axes(limits, title, with_bar=velocity is not None)
    if callable(velocity):
        _draw_field(figure, axes, velocity, limits)
    elif velocity is not None:
        _draw_moves(figure, axes, samples, velocity, limits)
    _draw_points(axes, data, DATA_COLOR, "data")
    _draw_points(axes, samples, SAMPLE_COLOR, "generated")
    _draw_legend(axes)
    return figure


def as_points(name: str, points: ArrayLike) -> Array:
    """Returns `points` as a float64 array of shape `(n, 2)`.

    Raises:
        ValueError: If they have another shape or there are none.
    """
    points = keras.ops.convert_to_numpy(points)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(
            f"`{name}` must be points in the plane, of shape (n, 2) with "
            f"n >= 1. Received: {name}.shape={points.shape}. For images use "
            "`SampleGrid` or `image_grid`."
        )
    return points.astype("float64")


def _empty_axes(limits, title, with_bar):
    matplotlib = import_matplotlib()
    figure = matplotlib.figure.Figure(
        figsize=(6.9 if with_bar else 6.0, 6.0), dpi=120
    )
    matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
    axes = figure.add_axes(_in_inches(figure, 0.6, 0.4, 5.2, 5.2))
    axes.set(xlim=limits[0], ylim=limits[1], aspect="equal")
    axes.set_axisbelow(True)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.tick_params(color="#bbbbbb", labelcolor="#555555")
    # Long labels would not fit into the margins.
    axes.ticklabel_format(scilimits=(-2, 4))
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")
    if title is not None:
        axes.set_title(title, loc="left")
    return figure, axes


def _in_inches(figure, *box):
    """Returns a box `(left, bottom, width, height)` in shares of the figure.

    An automatic layout would make room for the labels, whose widths vary, and
    the axes would jump from picture to picture.
    """
    width, height = figure.get_size_inches()
    return [b / side for b, side in zip(box, (width, height) * 2)]


def _draw_points(axes, points, color, label):
    if points is None:
        return
    axes.scatter(
        *points.T,
        s=9,
        color=color,
        alpha=0.55,
        linewidths=0,
        label=label,
        zorder=3,
    )


def _draw_legend(axes):
    # Above the axes, where it hides no points.
    legend = axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        markerscale=2,
        handletextpad=0.2,
        borderaxespad=0.2,
    )
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)


def _draw_field(figure, axes, velocity, limits):
    points, spacing = _arrow_points(limits)
    # Float32 is what networks take; float64 would be cast with a warning.
    field = as_points("velocity(points)", velocity(points.astype("float32")))
    if len(field) != len(points):
        raise ValueError(
            "`velocity` must return a vector for each point. Received: "
            f"{len(field)} vectors for {len(points)} points."
        )
    _draw_arrows(figure, axes, points, field, spacing, pivot="mid")


def _draw_moves(figure, axes, samples, velocity, limits):
    """Draws arrows that start at some of the samples."""
    moves = as_points("velocity", velocity)
    if samples is None or len(moves) != len(samples):
        raise ValueError(
            "`velocity` must be a function, or a vector for each of `samples`. "
            f"Received: {len(moves)} vectors for "
            f"{0 if samples is None else len(samples)} samples."
        )
    _, spacing = _arrow_points(limits)
    rows = slice(None, None, max(1, len(samples) // _ARROWS_PER_SIDE**2))
    _draw_arrows(
        figure, axes, samples[rows], moves[rows], 1.5 * spacing, pivot="tail"
    )


def _draw_arrows(figure, axes, points, field, spacing, pivot):
    matplotlib = import_matplotlib()
    speed = np.linalg.norm(field, axis=1)
    moving = np.isfinite(speed) & (speed > 0)
    if not moving.any():
        return
    points, speed = points[moving], speed[moving]
    arrows = 0.75 * spacing * field[moving] / speed[:, None]
    # A few extreme points must not use up the colors.
    low, high = np.quantile(speed, [0.02, 0.98])
    low, high = (low, high) if high > 1.01 * low else (low / 2, low * 2)
    quiver = axes.quiver(
        *points.T,
        *arrows.T,
        speed,
        norm=matplotlib.colors.LogNorm(low, high),
        cmap=matplotlib.colors.LinearSegmentedColormap.from_list(
            "speed", _SPEED_COLORS
        ),
        angles="xy",
        scale_units="xy",
        scale=1.0,
        pivot=pivot,
        width=0.0028,
        zorder=2,
    )
    _draw_speed_bar(figure, matplotlib.ticker, quiver, low, high)


def _draw_speed_bar(figure, ticker, quiver, low, high):
    bar = figure.colorbar(
        quiver,
        cax=figure.add_axes(_in_inches(figure, 5.95, 0.9, 0.18, 4.2)),
        extend="both",
    )
    # Plain numbers; 0.3 is easier to read than 3 x 10^-1.
    plain = ticker.FuncFormatter(lambda value, _: f"{value:.2g}")
    bar.ax.yaxis.set_major_formatter(plain)
    few = high < 30 * low
    bar.ax.yaxis.set_minor_formatter(plain if few else ticker.NullFormatter())
    bar.ax.set_title("speed", fontsize="medium", loc="left")
    bar.ax.tick_params(labelsize="small", which="both")
    bar.outline.set_visible(False)


def _arrow_points(limits):
    """Returns centers of square cells that fill the limits, and their side."""
    sides = [high - low for low, high in limits]
    spacing = max(sides) / _ARROWS_PER_SIDE
    x, y = (
        low + (np.arange(max(1, int(side / spacing))) + 0.5) * spacing
        for (low, _), side in zip(limits, sides)
    )
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2), spacing
