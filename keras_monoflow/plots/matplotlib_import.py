"""Matplotlib is optional, so it is imported when a picture is drawn."""


def import_matplotlib():
    """Import the parts of matplotlib that need no screen and no pyplot."""
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
