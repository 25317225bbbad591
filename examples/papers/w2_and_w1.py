"""The Wasserstein-2 flow against the Wasserstein-1 flow.

python examples/papers/w2_and_w1.py
"""

import matplotlib.pyplot as plt
import numpy as np
import planar
from claims import Claim, head, main, row, save, values

import keras_monoflow as kmf

#: Persistency of each flow.
RUNS = {
    "W1-FE, K=1": ("w1", 1),
    "W1-FE, K=5": ("w1", 5),
    "W2-FE, K=1": ("w2", 1),
    "W2-FE, K=5": ("w2", 5),
}


def make_model(name, seed):
    flow, persistency = RUNS[name]
    if flow == "w1":
        return planar.w1fe(seed, persistency=persistency)
    model = kmf.W2FE(*planar.networks(seed, critics=2), seed=seed)
    model.compile(
        generator_optimizer=planar.generator_optimizer(),
        potential_optimizer=planar.critic_optimizer(),
        potential_warmup=50,
        potential_steps=5,
        persistency=persistency,
        step_size=0.2,
    )
    return model


def run(choice):
    model = make_model(choice["run"], choice["seed"])
    return {"w1": planar.w1_at_the_end(model, choice, choice["data"])}


def choices(quick):
    size = {"rounds": 40, "looks": 2} if quick else {"rounds": 800, "looks": 8}
    return [
        {"run": name, "data": data, "seed": seed, **size}
        for data in (["ring"] if quick else ["ring", "grid"])
        for seed in range(1 if quick else 5)
        for name in RUNS
    ]


def table(results):
    data = list(dict.fromkeys(r["data"] for r in results))
    lines = head("flow", *(f"W1, {d}" for d in data), "seconds a run")
    for name in RUNS:
        cells = [
            planar.mean_and_spread(values(results, "w1", run=name, data=d))
            for d in data
        ]
        seconds = np.median([r["seconds"] for r in results if r["run"] == name])
        lines.append(row(name, *cells, f"{seconds:.0f}"))
    return lines


def verdict(results):
    best = {
        flow: min(
            np.mean(values(results, "w1", run=name))
            for name, (kind, _) in RUNS.items()
            if kind == flow
        )
        for flow in ("w1", "w2")
    }
    why = "the best mean W1 is {w2:.2f} for W2-FE, {w1:.2f} for W1-FE".format(
        **best
    )
    agree = best["w2"] < best["w1"]
    return ("reproduced" if agree else "not reproduced"), why


def draw(results, path):
    """W1 by seed, and its mean."""
    data = list(dict.fromkeys(r["data"] for r in results))
    figure, axes = plt.subplots(
        1, len(data), figsize=(3.4 * len(data), 2.8), squeeze=False
    )
    for axis, name in zip(axes[0], data):
        for i, kind in enumerate(RUNS):
            w1 = values(results, "w1", run=kind, data=name)
            axis.plot([i] * len(w1), w1, "o", ms=4, color=f"C{i // 2}")
            axis.plot(i, np.mean(w1), "k_", ms=16)
        axis.set_xticks(range(len(RUNS)), [k.replace(", ", "\n") for k in RUNS])
        axis.tick_params(axis="x", labelsize=8)
        axis.set(title=name, ylabel="W1", ylim=(0, None))
    save(figure, path)


CLAIM = Claim(
    name="w2_and_w1",
    title="The Wasserstein-2 flow beside the Wasserstein-1 flow",
    source="Beyond both papers: arXiv 2406.13619 beside arXiv 2405.16351",
    claim="Both are forward Euler on the flow of a distance, with persistent "
    "fits. One might expect W2-FE to come closer to the data, since its "
    "velocity shrinks near them, where that of W1-FE has the length 1.",
    setup="Eight and twenty-five Gaussians, 5 seeds, 800 rounds; W2-FE with "
    "five steps of its potentials a round and steps of 0.2, W1-FE with one and "
    "0.1. W1 is the mean over the second half.",
    advice="Begin with `W1FE`, which has one network less to train.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
