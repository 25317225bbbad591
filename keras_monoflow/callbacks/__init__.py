"""Callbacks that show and judge the samples while a model trains.

They are ordinary Keras callbacks. `fit` of the package's models also looks for
the following attributes and methods on every callback; a user's own callback
may have them too.

- `adds_to_logs = True`: it writes into the logs of an epoch. `fit` moves it
  to the front, so that all others see what it adds.
- `use_data(x, y, validation_data)`: `fit` calls it with its data before the
  training.
- `measures_samples = True`: `fit` takes one such callback, and keeps it as
  `model.distribution_metrics`. `model.evaluate` adds what its
  `evaluate(model, x, y)` returns, a dictionary of values by
  name. Files of the model hold its `saved_weights()`, a dictionary of
  variables by their name in files.
- `shows_pictures = True`: it has `show_picture` and `show_histograms`, as
  `TensorBoard`.
- `boards`: `fit` sets it to the list of all callbacks that show pictures.
- `writes_files = True`: where several processes train together, only the
  first one runs it.
"""

from keras_monoflow.callbacks.backup_and_restore import BackupAndRestore
from keras_monoflow.callbacks.distribution_metrics import DistributionMetrics
from keras_monoflow.callbacks.flow_animation import FlowAnimation
from keras_monoflow.callbacks.flow_monitor import FlowMonitor
from keras_monoflow.callbacks.sample_grid import SampleGrid
from keras_monoflow.callbacks.sample_scatter import SampleScatter
from keras_monoflow.callbacks.tensorboard import TensorBoard
from keras_monoflow.plots import image_grid, plot_scatter

__all__ = [
    "BackupAndRestore",
    "DistributionMetrics",
    "FlowAnimation",
    "FlowMonitor",
    "SampleGrid",
    "SampleScatter",
    "TensorBoard",
    "image_grid",
    "plot_scatter",
]
