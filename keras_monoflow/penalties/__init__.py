"""Penalties, which are added to the discriminator's objective."""

from keras_monoflow.penalties.consistency import Consistency
from keras_monoflow.penalties.gradient_penalties import (
    DRAGAN,
    R1,
    R2,
    GradientPenalty,
    LipschitzPenalty,
    Penalty,
)
from keras_monoflow.penalties.lookup import check_together, get
from keras_monoflow.penalties.output_penalties import (
    Centering,
    LeCam,
    OutputPenalty,
)
from keras_monoflow.penalties.weighted_term import WeightedTerm

__all__ = [
    "DRAGAN",
    "R1",
    "R2",
    "Centering",
    "Consistency",
    "GradientPenalty",
    "LeCam",
    "LipschitzPenalty",
    "OutputPenalty",
    "Penalty",
    "WeightedTerm",
    "check_together",
    "get",
]
