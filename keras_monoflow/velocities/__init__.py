"""Velocities from samples: what moves generated rows without a discriminator.

Each is called with generated rows, real rows and a second generated batch, and
returns the velocity of the generated rows: real rows attract, those of the
second batch repel. `keras_monoflow.SampleFlow` trains a generator with one,
`keras_monoflow.ParticleFlow` moves particles. They take arrays of the running
backend or of NumPy and work alone as well.
"""

from keras_monoflow.velocities.drifting import Drifting
from keras_monoflow.velocities.kernel_ratio import KernelRatio
from keras_monoflow.velocities.lookup import get
from keras_monoflow.velocities.mmd import MMD, Energy
from keras_monoflow.velocities.sinkhorn import Sinkhorn
from keras_monoflow.velocities.sliced_wasserstein import SlicedWasserstein
from keras_monoflow.velocities.velocity import Velocity
from keras_monoflow.velocities.weighted_sum import WeightedSum

__all__ = [
    "MMD",
    "Drifting",
    "Energy",
    "KernelRatio",
    "Sinkhorn",
    "SlicedWasserstein",
    "Velocity",
    "WeightedSum",
    "get",
]
