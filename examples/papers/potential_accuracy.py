"""How good is the critic's gradient, and does it matter more for larger K?

python examples/papers/potential_accuracy.py
"""

import matplotlib.pyplot as plt
import numpy as np
import planar
from claims import Claim, head, main, row, save

import keras_monoflow as kmf

CRITIC_STEPS, FITS = [1, 5], [1, 5, 20]
POINTS = 500
#: W1 above which samples are far from the data.
FAR = 0.4


def exact_directions(samples, points):
    """Where optimal transport for W1 takes each sample, unit vectors: minus the
    gradient of the Kantorovich potential. From POT, on discrete data."""
    import ot

    n = len(samples)
    costs = ot.dist(samples, points, metric="euclidean")
    plan = ot.emd(np.full(n, 1 / n), np.full(n, 1 / n), costs)
    moves = points[plan.argmax(axis=1)] - samples
    lengths = np.linalg.norm(moves, axis=1, keepdims=True)
    return moves / np.maximum(lengths, 1e-9), float(lengths.mean())


def look_at(seed):
    def look(model, rounds):
        samples = model.sample(POINTS, seed=7)
        points = kmf.datasets.gaussian_ring(POINTS, seed=[seed, rounds, 1])
        directions, w1 = exact_directions(
            samples.astype("float64"), points.astype("float64")
        )
        velocity = model.velocity(samples)
        lengths = np.linalg.norm(velocity, axis=1)
        along = np.sum(velocity * directions, axis=1)
        return {
            "w1": w1,
            "cosine": float(np.mean(along / np.maximum(lengths, 1e-9))),
            "length": float(lengths.mean()),
        }

    return look


def run(choice):
    model = planar.w1fe(
        choice["seed"],
        persistency=choice["fits"],
        critic_steps=choice["critic_steps"],
    )
    looks = planar.train(
        model,
        "ring",
        choice["seed"],
        choice["rounds"],
        choice["looks"],
        look_at(choice["seed"]),
    )
    return {"curve": looks}


def choices(quick):
    size = {"rounds": 40, "looks": 2} if quick else {"rounds": 800, "looks": 16}
    return [
        {"critic_steps": steps, "fits": fits, "seed": seed, **size}
        for seed in range(1 if quick else 5)
        for steps in (CRITIC_STEPS[:1] if quick else CRITIC_STEPS)
        for fits in FITS
    ]


def finals(results, steps, fits):
    """W1 over the second half of each run."""
    return [planar.final(r["curve"]) for r in of(results, steps, fits)]


def far(results, steps, fits, name):
    """The mean over the looks of each run at which samples are far from the
    data: near them, the plan between 500 points and 500 others is chance."""
    means = []
    for r in of(results, steps, fits):
        values = [k[name] for k in r["curve"] if k["w1"] > FAR]
        means += [float(np.mean(values))] if values else []
    return means


def of(results, steps, fits):
    kind = {"critic_steps": steps, "fits": fits}
    return [r for r in results if kind.items() <= r.items()]


def kinds(results):
    return dict.fromkeys((r["critic_steps"], r["fits"]) for r in results)


def table(results):
    lines = head(
        "critic steps",
        "K",
        "cosine with the exact direction",
        "length of ∇D",
        "W1 at the end",
    )
    for kind in kinds(results):
        cells = [
            planar.mean_and_spread(far(results, *kind, name), ".2f")
            for name in ("cosine", "length")
        ]
        w1 = planar.mean_and_spread(finals(results, *kind))
        lines.append(row(*kind, *cells, w1))
    return lines


def verdict(results):
    """Whether a better critic brings more for larger K."""
    w1 = {k: np.mean(finals(results, *k)) for k in kinds(results)}
    gains = {
        fits: 1 - w1[CRITIC_STEPS[-1], fits] / w1[CRITIC_STEPS[0], fits]
        for fits in FITS
        if (CRITIC_STEPS[-1], fits) in w1
    }
    if not gains:
        return "not testable here", "critics with one number of steps alone"
    why = f"with {CRITIC_STEPS[-1]} critic steps W1 is smaller by " + ", ".join(
        f"{gain:.0%} for K = {fits}" for fits, gain in gains.items()
    )
    more = gains[FITS[-1]] > gains[FITS[0]] + 0.05
    return ("reproduced" if more else "not reproduced"), why


def draw(results, path):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    for r in results:
        if r["seed"] == 0:
            label = f"{r['critic_steps']} steps, K = {r['fits']}"
            rounds = [look["rounds"] for look in r["curve"]]
            for axis, name in zip(axes, ("cosine", "w1")):
                axis.plot(rounds, [k[name] for k in r["curve"]], label=label)
    axes[0].set(xlabel="rounds", ylabel="cosine with the exact direction")
    axes[1].set(xlabel="rounds", ylabel="exact W1", yscale="log")
    axes[1].legend(fontsize=7)
    save(figure, path)


CLAIM = Claim(
    name="potential_accuracy",
    title="How good the potential has to be",
    source="W1-FE, arXiv 2405.16351, third open question",
    claim="W1-FE needs the gradient of a Kantorovich potential, and its K fits "
    "go farther along it than one step does: an inexact critic might hurt them "
    "more.",
    setup="Eight Gaussians, 1 or 5 critic steps a round, 5 seeds, 800 rounds. "
    "The exact direction of each of 500 samples is that of the optimal plan to "
    f"500 points of the data, from POT, while W1 is above {FAR}: below, the "
    "plan is mostly sampling noise. W1 is the mean over the second half.",
    advice="One critic step a round is enough for any K here: spend time on "
    "fits first.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
