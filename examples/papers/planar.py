"""Small trainings on mixtures that several claims share.

Networks have three layers of 64; batches are of 256. Critics learn by Adam at
1e-3 (0.5, 0.9) with the one-sided penalty, generators at 5e-4 (0.5, 0.9).
The exact W1 is taken between 1000 samples and 1000 points of the data.
"""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_monoflow as kmf

BATCH = 256
#: Points of each distribution.
DATA: dict[str, Callable[..., np.ndarray]] = {
    "ring": lambda n, seed: kmf.datasets.gaussian_ring(n, seed=seed),
    "grid": lambda n, seed: kmf.datasets.gaussian_grid(n, seed=seed),
}


def raised(name: str, dim: int) -> Callable[..., np.ndarray]:
    """The same mixture in a plane of a space, with noise to all sides, whose
    length is 0.1."""
    rng = np.random.default_rng(dim)
    plane, _ = np.linalg.qr(rng.normal(size=(dim, 2)))
    flat = DATA[name]

    def points(n: int, seed: Any) -> np.ndarray:
        rng = np.random.default_rng([dim, *np.atleast_1d(seed)])
        noise = rng.normal(scale=0.1 / np.sqrt(dim), size=(n, dim))
        return (flat(n, seed) @ plane.T + noise).astype("float32")

    return points


DATA |= {
    f"{name}, {dim}-D": raised(name, dim)
    for name in ("ring", "grid")
    for dim in (8, 32)
}


def critic_optimizer() -> keras.Optimizer:
    return keras.optimizers.Adam(1e-3, 0.5, 0.9)


def generator_optimizer(factor: float = 1.0) -> keras.Optimizer:
    return keras.optimizers.Adam(5e-4 * factor, 0.5, 0.9)


def networks(seed: int, critics: int = 1, dim: int = 2) -> list[keras.Model]:
    """A generator, and as many networks that judge."""
    keras.utils.set_random_seed(seed)
    judges = [
        kmf.networks.mlp_discriminator(dim, seed=seed + 1000 * i)
        for i in range(critics)
    ]
    return [kmf.networks.mlp_generator(dim, dim, seed=seed), *judges]


def w1fe(seed: int, dim: int = 2, factor: float = 1.0, **choices: Any) -> Any:
    """W1-FE with a warm-up of 50 critic steps, and the generator's learning
    rate times a factor."""
    model = kmf.W1FE(*networks(seed, dim=dim), seed=seed)
    choices = {"penalty": kmf.penalties.LipschitzPenalty(10.0), **choices}
    model.compile(
        generator_optimizer=generator_optimizer(factor),
        critic_optimizer=critic_optimizer(),
        critic_warmup=50,
        step_size=0.1,
        **choices,
    )
    return model


def train(
    model: Any,
    data: str,
    seed: int,
    rounds: int,
    looks: int,
    look: Callable[[Any, int], dict[str, float]],
    warmup: int = 50,
) -> list[dict[str, float]]:
    """Trains on fresh points, and looks `looks` times at even distances: at
    the rounds that are done, the seconds of training after the warm-up, which
    compiles, and what `look` sees.

    Args:
        model: A compiled model.
        data: A name in `DATA`.
        seed: Seed of the data.
        rounds: How many after the warm-up.
        looks: How many looks.
        look: Function of the model and the rounds to numbers by name.
        warmup: Rounds of the critic alone.
    """
    seen = []
    stretches = [warmup] * (warmup > 0) + [rounds // looks] * looks
    done, seconds = -warmup, 0.0
    for i, length in enumerate(stretches):
        points = DATA[data](BATCH * length, [seed, i])
        started = time.process_time()
        model.fit(points, batch_size=BATCH, shuffle=False, verbose=0)
        done += length
        if done > 0:
            seconds += time.process_time() - started
            times = {"rounds": done, "seconds": round(seconds, 2)}
            seen.append({**times, **look(model, done)})
    return seen


def distance(model: Any, data: str, seed: int) -> float:
    """The exact W1 to the data."""
    points = DATA[data](1000, 10_000 + seed)
    samples = model.sample(1000, seed=123, batch_size=1000)
    return float(kmf.metrics.WassersteinDistance()(points, samples))


def w1_at_the_end(model: Any, choice: dict[str, Any], data: str) -> float:
    """Trains as a choice says, with `seed`, `rounds` and `looks`, and returns
    the mean W1 of the second half."""
    seed = choice["seed"]

    def look(model: Any, rounds: int) -> dict[str, float]:
        return {"w1": distance(model, data, seed)}

    looks = train(model, data, seed, choice["rounds"], choice["looks"], look)
    return final(looks)


def final(looks: list[dict[str, float]], name: str = "w1") -> float:
    """The mean over the looks of the second half."""
    values = [look[name] for look in looks]
    return float(np.mean(values[len(values) // 2 :]))


def mean_and_spread(values: list[float], form: str = ".3f") -> str:
    """A mean and a standard deviation over seeds, which stay on one line."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:{form}}"
    text = f"{np.mean(values):{form}} ± {np.std(values, ddof=1):{form}}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")
