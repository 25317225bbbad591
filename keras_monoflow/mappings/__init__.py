"""Mappings: the strictly increasing functions `h` of the log density ratio.

With `u = log(p_data / p_gen)`, samples move along `grad h(u)` and the generator
minimizes `-E h(u)` (MonoFlow, arXiv 2302.01075). The *dual* `g`, with
`g'(u) = exp(-u) h'(u)`, makes `E_gen[h(u)] - E_data[g(u)]` a discriminator
objective whose minimizer is the log density ratio.
"""

from keras_monoflow.mappings.lookup import (
    ALIASES,
    NAMED,
    deserialize,
    get,
    serialize,
)
from keras_monoflow.mappings.mapping import FunctionMapping, Mapping
from keras_monoflow.mappings.monotone import check_monotone
from keras_monoflow.mappings.named import (
    Alpha,
    Arcsinh,
    Identity,
    Jeffreys,
    LeastSquares,
    NonSaturating,
    Vanilla,
)
from keras_monoflow.mappings.relativistic import Relativistic

__all__ = [
    "ALIASES",
    "NAMED",
    "Alpha",
    "Arcsinh",
    "FunctionMapping",
    "Identity",
    "Jeffreys",
    "LeastSquares",
    "Mapping",
    "NonSaturating",
    "Relativistic",
    "Vanilla",
    "check_monotone",
    "deserialize",
    "get",
    "serialize",
]
