"""Further terms of a generator's loss, beside the flow.

A term is a further potential: its gradient at the generated samples is added
to the velocity of the flow, in the same step and in every persistent fit.
"""

from keras_monoflow.terms.feature_matching import FeatureMatching
from keras_monoflow.terms.generator_term import (
    FunctionTerm,
    GeneratorTerm,
    get,
)
from keras_monoflow.terms.reconstruction import Reconstruction

__all__ = [
    "FeatureMatching",
    "FunctionTerm",
    "GeneratorTerm",
    "Reconstruction",
    "get",
]
