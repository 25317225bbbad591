"""How good is the critic's gradient, and does it matter more for larger K?

python examples/papers/potential_accuracy.py
"""

import matplotlib.pyplot as plt
import numpy as np
import planar
from claims import Claim, head, main, row

import keras_monoflow as kmf

CRITIC_STEPS, FITS = [1, 5], [1, 5, 20]
POINTS = 500


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
    return {"looks": looks}


def choices(quick):
    size = {"rounds": 40, "looks": 2} if quick else {"rounds": 800, "looks": 16}
    return [
        {"critic_steps": steps, "fits": fits, "seed": seed, **size}
        for seed in range(1 if quick else 5)
        for steps in (CRITIC_STEPS[:1] if quick else CRITIC_STEPS)
        for fits in FITS
    ]


def finals(results, steps, fits, name):
    return [
        planar.final(r["looks"], name)
        for r in results
        if (r["critic_steps"], r["fits"]) == (steps, fits)
    ]


def kinds(results):
    return dict.fromkeys((r["critic_steps"], r["fits"]) for r in results)


def table(results):
    lines = head(
        "critic steps",
        "K",
        "cosine with the exact direction",
        "length of ∇D",
        "W1",
    )
    for kind in kinds(results):
        cells = [
            planar.mean_and_spread(finals(results, *kind, name), form)
            for name, form in (
                ("cosine", ".2f"),
                ("length", ".2f"),
                ("w1", ".3f"),
            )
        ]
        lines.append(row(*kind, *cells))
    return lines


def verdict(results):
    """Whether a better critic brings more, and more so for larger K."""
    w1 = {k: np.mean(finals(results, *k, "w1")) for k in kinds(results)}
    cosine = {k: np.mean(finals(results, *k, "cosine")) for k in kinds(results)}
    why = ", ".join(
        f"{steps} steps and K = {fits}: cosine {cosine[steps, fits]:.2f}, W1 "
        f"{w1[steps, fits]:.2f}"
        for steps, fits in w1
    )
    if len(w1) < 2:
        return "not testable here", why
    better = np.corrcoef(list(cosine.values()), list(w1.values()))[0, 1]
    what = "reproduced" if better < -0.5 else "not reproduced"
    return what, f"{why}; correlation of both {better:.2f}"


def draw(results, path):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    for r in results:
        if r["seed"] == 0:
            label = f"{r['critic_steps']} steps, K = {r['fits']}"
            rounds = [look["rounds"] for look in r["looks"]]
            for axis, name in zip(axes, ("cosine", "w1")):
                axis.plot(rounds, [k[name] for k in r["looks"]], label=label)
    axes[0].set(xlabel="rounds", ylabel="cosine with the exact direction")
    axes[1].set(xlabel="rounds", ylabel="exact W1", yscale="log")
    axes[1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


CLAIM = Claim(
    name="potential_accuracy",
    title="How good the potential has to be",
    source="W1-FE, arXiv 2405.16351, third open question",
    claim="W1-FE needs the gradient of a Kantorovich potential, and its K fits "
    "go farther along it than one step does: an inexact critic might hurt them "
    "more.",
    setup="Eight Gaussians, 1 or 5 critic steps a round, 5 seeds, 800 rounds. "
    "The exact direction of each of 500 samples is that of the optimal plan to "
    "500 points of the data, from POT; all values are means over the second "
    "half.",
    advice="Spend on critic steps before you spend on larger K.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
