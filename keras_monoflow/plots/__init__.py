"""Pictures of samples and flows, from arrays alone.

Matplotlib is imported when the first picture is drawn.
"""

from keras_monoflow.plots.film import write_film
from keras_monoflow.plots.flow_panel import plot_flow
from keras_monoflow.plots.image_grid import image_grid
from keras_monoflow.plots.scatter_plot import plot_scatter

__all__ = ["image_grid", "plot_flow", "plot_scatter", "write_film"]
