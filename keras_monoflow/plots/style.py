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
