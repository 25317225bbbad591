"""Keras 3 models that train generators by following gradient flows.

Nothing here imports a framework that `import keras` does not.
"""

from typing import Any

from keras_monoflow import (
    augmentation,
    callbacks,
    constraints,
    datasets,
    features,
    gradients,
    losses,
    mappings,
    metrics,
    models,
    networks,
    optimizers,
    penalties,
    plots,
    potentials,
    schedules,
    terms,
    velocities,
)
from keras_monoflow.models import (
    W1FE,
    W2FE,
    AdversarialModel,
    MonoFlowGAN,
    ParticleFlow,
    SampleFlow,
)

__version__ = "0.1.0"

__all__ = [
    "W1FE",
    "W2FE",
    "AdversarialModel",
    "MonoFlowGAN",
    "ParticleFlow",
    "SampleFlow",
    "augmentation",
    "callbacks",
    "constraints",
    "datasets",
    "features",
    "gradients",
    "losses",
    "mappings",
    "metrics",
    "models",
    "networks",
    "optimizers",
    "penalties",
    "plots",
    "potentials",
    "schedules",
    "terms",
    "velocities",
]


def __getattr__(name: str) -> Any:
    # `tuning` derives from classes of KerasTuner, which is optional.
    if name == "tuning":
        import importlib

        return importlib.import_module("keras_monoflow.tuning")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
