"""Callbacks that show and judge the samples while a model trains."""

from keras_monoflow.callbacks.distribution_metrics import DistributionMetrics
from keras_monoflow.callbacks.flow_animation import FlowAnimation
from keras_monoflow.callbacks.flow_monitor import FlowMonitor
from keras_monoflow.callbacks.sample_grid import SampleGrid
from keras_monoflow.callbacks.sample_scatter import SampleScatter
from keras_monoflow.callbacks.tensorboard import TensorBoard
from keras_monoflow.plots.image_grid import image_grid
from keras_monoflow.plots.scatter_plot import plot_scatter

__all__ = [
    "DistributionMetrics",
    "FlowAnimation",
    "FlowMonitor",
    "SampleGrid",
    "SampleScatter",
    "TensorBoard",
    "image_grid",
    "plot_scatter",
]
