"""What all pictures share: how matplotlib is imported, and the colors."""

from typing import Any

#: Colors that also people tell apart who do not see red and green.
DATA_COLOR, SAMPLE_COLOR = "#5b7fa6", "#e4572e"


def import_matplotlib() -> Any:
    """Returns matplotlib, with the parts that need no screen and no pyplot.

    It is an optional package, so it is imported when a picture is drawn.

    Raises:
        ImportError: If it is missing; the message says how to install it.
    """
    try:
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.colors
        import matplotlib.figure
        import matplotlib.image
        import matplotlib.ticker
    except ImportError as error:
        raise ImportError(
            "Drawing pictures needs matplotlib. Install it with "
            '`pip install "keras-monoflow[plot]"`.'
        ) from error
    return matplotlib


def count_axis(axis: Any) -> None:
    """Labels the axis of epochs, or other things to count, by integers."""
    axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def log_axis(axis: Any, low: float, high: float) -> None:
    """Labels a logarithmic axis by plain numbers.

    Args:
        axis: An axis of matplotlib.
        low: The smallest value that is shown.
        high: The largest one.
    """
    ticker = import_matplotlib().ticker
    steps = (1, 2, 5) if high < 1000 * low else (1,)
    axis.set_major_locator(ticker.LogLocator(subs=steps))
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
