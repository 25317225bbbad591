"""Velocities in NumPy, written from the papers' formulas, in float64."""

import numpy as np
from scipy.special import logsumexp, softmax


def distances(y, x):
    return np.linalg.norm(y[:, None] - x[None], axis=-1)


def log_kernel(name, d, s):
    return {
        "gaussian": -(d**2) / (2 * s**2),
        "laplace": -d / s,
        "student": -np.log1p(d**2 / s**2),
    }[name]


def log_ratio(y, x, other, kernel, bandwidths):
    """`u` of the kernel densities, `(n,)`."""
    densities = []
    for rows in (x, other):
        logs = [log_kernel(kernel, distances(y, rows), s) for s in bandwidths]
        densities.append(
            logsumexp(np.stack(logs), axis=(0, 2)) - np.log(len(rows))
        )
    return densities[0] - densities[1]


def witness(y, x, other, kernel, bandwidths):
    """`mean_i k(y, x_i) - mean_j k(y, y'_j)`, `(n,)`."""
    means = [
        np.mean(
            [
                np.exp(log_kernel(kernel, distances(y, r), s))
                for s in bandwidths
            ],
            axis=(0, 2),
        )
        for r in (x, other)
    ]
    return means[0] - means[1]


def energy_witness(y, x, other):
    return distances(y, other).mean(1) - distances(y, x).mean(1)


def row_gradient(fn, y, step=1e-5):
    """The gradient of each row's own value, by central differences."""
    gradient = np.zeros_like(y)
    for k in range(y.shape[1]):
        move = np.zeros_like(y)
        move[:, k] = step
        gradient[:, k] = (fn(y + move) - fn(y - move)) / (2 * step)
    return gradient


def gradient(fn, y, step=1e-5):
    """The gradient of a scalar of all rows, by central differences."""
    result = np.zeros_like(y)
    for i in np.ndindex(*y.shape):
        move = np.zeros_like(y)
        move[i] = step
        result[i] = (fn(y + move) - fn(y - move)) / (2 * step)
    return result


def mean_shift(y, rows, s):
    """`sum_i k(y, x_i) (x_i - y) / sum_i k(y, x_i)`, Gaussian kernel."""
    weights = softmax(log_kernel("gaussian", distances(y, rows), s), axis=1)
    return weights @ rows - y


def drifting(y, x, other, temperatures, floor):
    """Algorithm 2 of Deng et al. 2026, arXiv 2602.04770; `other=None` is the
    authors' form, in which generated rows repel each other."""
    own = other is None
    other = y if own else other
    rows = np.concatenate([x, other])
    d = distances(y, rows)
    counts = np.ones_like(d, bool)
    if own:
        counts[:, len(x) :] = ~np.eye(len(y), dtype=bool)
    d = d / d[counts].mean()
    total = 0
    for t in temperatures:
        logits = np.where(counts, -d / t, -np.inf)
        product = softmax(logits, axis=1) * softmax(logits, axis=0)
        a = np.sqrt(np.maximum(product, floor))
        plus, minus = a[:, : len(x)], a[:, len(x) :]
        v = (plus * minus.sum(1, keepdims=True)) @ x
        v = v - (minus * plus.sum(1, keepdims=True)) @ other
        total = total + v / np.sqrt(np.mean(v**2))
    return total
