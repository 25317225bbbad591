"""Potentials: what a discriminator learns, and what samples climb.

Every flow of the package is one thing: a discriminator `D` minimizes an
*objective* of its outputs on real and generated samples, and the samples move
along the gradient of a scalar *potential* `V` of its output, which is high
where data are. A model asks its potential, and knows no flow by name: to add
one, write a subclass of `Potential`.
"""

from keras_monoflow.potentials.kantorovich_potential import KantorovichPotential
from keras_monoflow.potentials.log_ratio_potential import LogRatioPotential
from keras_monoflow.potentials.lookup import get
from keras_monoflow.potentials.output_potentials import (
    HingePotential,
    WassersteinPotential,
)
from keras_monoflow.potentials.potential import Potential

__all__ = [
    "HingePotential",
    "KantorovichPotential",
    "LogRatioPotential",
    "Potential",
    "WassersteinPotential",
    "get",
]
