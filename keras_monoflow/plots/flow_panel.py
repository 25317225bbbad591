"""The picture of a flow: log ratios, slopes, and how they got there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_monoflow.plots.style import (
    DATA_COLOR,
    SAMPLE_COLOR,
    count_axis,
    import_matplotlib,
    log_axis,
)
from keras_monoflow.typing import Array

_HISTORY = {
    "flow_speed": "speed",
    "flow_generator_gradient": "generator gradient",
    "flow_discriminator_gradient": "discriminator gradient",
}


def plot_flow(
    statistics: Mapping[str, Any],
    history: Sequence[tuple[int, Mapping[str, float]]],
    slope: Callable[[Array], Array] | None = None,
    threshold: float = 0.01,
) -> Any:
    """Draws where a flow stands, beside how it got there.

    For a flow that follows a density ratio: histograms of `u = log r` of data
    and generated samples, the slope `h'(u)` with the generated samples on it,
    and the history. For others: a histogram of the speeds and the history.

    Args:
        statistics: Dictionary of arrays by name: `"speed"` of shape `(n,)`,
            `|grad V|`, or the speed, of the generated samples; and where
            there is a density ratio, `"log_ratio_real"` of shape `(m,)`,
            `"log_ratio_fake"` and `"slope"`, both of shape `(n,)`.
        history: Pairs of an epoch and its logs. Drawn are `"flow_speed"`,
            `"flow_generator_gradient"` and `"flow_discriminator_gradient"`.
        slope: Function from an array of `u` to `h'(u)`.
        threshold: Slopes below it count as vanished.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is missing.
    """
    matplotlib = import_matplotlib()
    has_ratio = "slope" in statistics
    columns = 3 if has_ratio else 2
    figure = matplotlib.figure.Figure(
        figsize=(4.2 * columns, 3.6), dpi=100, layout="constrained"
    )
    axes = figure.subplots(1, columns)
    if has_ratio:
        _plot_ratios(axes[0], statistics)
        _plot_slopes(axes[1], statistics, slope, threshold)
    else:
        _plot_speeds(axes[0], statistics["speed"])
    _plot_history(axes[-1], history)
    figure.suptitle(f"Epoch {history[-1][0]}")
    return figure


def _plot_ratios(axes, statistics):
    real, fake = statistics["log_ratio_real"], statistics["log_ratio_fake"]
    both = np.concatenate([real, fake])
    low, high = np.quantile(both, [0.002, 0.998])
    bins = np.linspace(low, max(high, low + 1e-3), 50)
    axes.hist(real, bins, alpha=0.6, color=DATA_COLOR, label="data")
    axes.hist(fake, bins, alpha=0.6, color=SAMPLE_COLOR, label="generated")
    axes.axvline(0.0, color="0.4", linewidth=0.8)
    axes.set(xlabel="log density ratio u", ylabel="samples")
    axes.legend()


def _plot_slopes(axes, statistics, slope, threshold):
    u = statistics["log_ratio_fake"]
    if slope is not None:
        grid = np.linspace(
            min(u.min(), -5.0) - 1.0, max(u.max(), 5.0) + 1.0, 300
        )
        axes.plot(grid, slope(grid), color="0.3")
    axes.plot(u, statistics["slope"], ".", color=SAMPLE_COLOR, markersize=4)
    axes.axhline(threshold, color="0.4", linestyle=":")
    axes.set(xlabel="log density ratio u", ylabel="slope h'(u)", yscale="log")
    vanished = np.mean(statistics["slope"] < threshold)
    axes.set_title(f"{100 * vanished:.0f} % vanished", fontsize=10)


def _plot_speeds(axes, speed):
    axes.hist(speed[np.isfinite(speed)], 40, color=SAMPLE_COLOR)
    axes.set(xlabel="speed of generated samples", ylabel="samples")


def _plot_history(axes, history):
    axes.set(xlabel="epoch", yscale="log")
    count_axis(axes.xaxis)
    epochs = [epoch for epoch, _ in history]
    shown = []
    for name, label in _HISTORY.items():
        values = np.array([logs.get(name, np.nan) for _, logs in history])
        if np.isfinite(values).any():
            axes.plot(epochs, values, ".-", label=label)
            shown += [*values[np.isfinite(values) & (values > 0)]]
    if shown:
        axes.legend(fontsize=8)
        log_axis(axes.yaxis, min(shown), max(shown))
