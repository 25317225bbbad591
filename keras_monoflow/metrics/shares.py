"""How evenly samples are spread over modes or classes."""

import numpy as np

from keras_monoflow.typing import Array


def divergence(counts: Array) -> float:
    """Returns the KL divergence of the counts' shares from equal ones, in nats.

    It is infinite if there are no counts.
    """
    if not counts.any():
        return float("inf")
    shares = counts[counts > 0] / counts.sum()
    return float(np.sum(shares * np.log(shares * len(counts)))) + 0.0


def balance(counts: Array) -> float:
    """Returns the entropy of the counts, over that of equal counts."""
    if len(counts) == 1 or not counts.any():
        return float(counts.any())
    shares = counts[counts > 0] / counts.sum()
    return float(-np.sum(shares * np.log(shares)) / np.log(len(counts))) + 0.0
