"""The picture of a flow: log ratios, slopes, and how they got there."""

import numpy as np

from keras_monoflow.callbacks.flow_statistics import slope
from keras_monoflow.plots.matplotlib_import import import_matplotlib

_REAL, _FAKE = "#5b7fa6", "#e4572e"


def draw_panel(statistics, history, mapping=None, threshold=0.01):
    """Draws what `flow_statistics` returned, beside the logs of all epochs.

    Args:
        statistics: The dictionary of `flow_statistics`.
        history: List of pairs of an epoch and its logs.
        mapping: The `Mapping` of the flow, or `None` for a Wasserstein flow.
        threshold: Slopes below it count as vanished.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    matplotlib = import_matplotlib()
    has_ratio = "slope" in statistics
    columns = 3 if has_ratio else 2
    figure = matplotlib.figure.Figure(
        figsize=(4.2 * columns, 3.6), dpi=100, layout="constrained"
    )
    axes = list(figure.subplots(1, columns))
    if has_ratio:
        _ratios(axes.pop(0), statistics)
        _slopes(axes.pop(0), statistics, mapping, threshold)
    else:
        speed = statistics["speed"]
        axes[0].hist(speed[np.isfinite(speed)], 40, color=_FAKE)
        axes.pop(0).set(xlabel="|grad V|, generated", ylabel="samples")
    _history(axes.pop(0), history)
    figure.suptitle(f"Epoch {history[-1][0]}")
    return figure


def _ratios(axes, statistics):
    real, fake = statistics["log_ratio_real"], statistics["log_ratio_fake"]
    both = np.concatenate([real, fake])
    low, high = np.quantile(both, [0.002, 0.998])
    bins = np.linspace(low, max(high, low + 1e-3), 50)
    axes.hist(real, bins, alpha=0.6, color=_REAL, label="data")
    axes.hist(fake, bins, alpha=0.6, color=_FAKE, label="generated")
    axes.axvline(0.0, color="0.4", linewidth=0.8)
    axes.set(xlabel="log density ratio u", ylabel="samples")
    axes.legend()


def _slopes(axes, statistics, mapping, threshold):
    u = statistics["log_ratio_fake"]
    grid = np.linspace(min(u.min(), -5.0) - 1.0, max(u.max(), 5.0) + 1.0, 300)
    axes.plot(grid, slope(mapping, grid), color="0.3")
    axes.plot(u, statistics["slope"], ".", color=_FAKE, markersize=4)
    axes.axhline(threshold, color="0.4", linestyle=":")
    axes.set(xlabel="log density ratio u", ylabel="slope h'(u)", yscale="log")
    vanished = np.mean(statistics["slope"] < threshold)
    axes.set_title(f"{100 * vanished:.0f} % vanished", fontsize=10)


def _history(axes, history):
    epochs = [epoch for epoch, _ in history]
    for name, label in (
        ("flow_speed", "speed |grad V|"),
        ("flow_generator_gradient", "generator gradient"),
        ("flow_discriminator_gradient", "discriminator gradient"),
    ):
        values = [logs.get(name, np.nan) for _, logs in history]
        if np.isfinite(values).any():
            axes.plot(epochs, values, ".-", label=label)
    axes.set(xlabel="epoch", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=8)
