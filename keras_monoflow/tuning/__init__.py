"""KerasTuner searches over mappings, flows and their settings."""

try:
    import keras_tuner  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`keras_monoflow.tuning` needs KerasTuner. Install it with "
        '`pip install "keras-monoflow[tuner]"`.'
    ) from error

from keras_monoflow.tuning.flow_hyper_model import FlowHyperModel
from keras_monoflow.tuning.grid_search import GridSearch
from keras_monoflow.tuning.mapping_hyper_model import MappingHyperModel
from keras_monoflow.tuning.results import (
    ResultsTable,
    plot_results,
    results_table,
)
from keras_monoflow.tuning.sample_flow_hyper_model import (
    SampleFlowHyperModel,
)
from keras_monoflow.tuning.w1fe_hyper_model import W1FEHyperModel
from keras_monoflow.tuning.winner import verdict
from keras_monoflow.tuning.workers import run_workers

__all__ = [
    "FlowHyperModel",
    "GridSearch",
    "MappingHyperModel",
    "ResultsTable",
    "SampleFlowHyperModel",
    "W1FEHyperModel",
    "plot_results",
    "results_table",
    "run_workers",
    "verdict",
]
