"""What does it lead to if the plain loss is minimized several times a round?

python examples/papers/naive_persistence.py
"""

import matplotlib.pyplot as plt
import numpy as np
import planar
from claims import Claim, head, main, row, save
from keras import ops

RUNS = {
    "K=1": (1, "persistent"),
    "persistent, K=5": (5, "persistent"),
    "naive, K=5": (5, "naive"),
    "proximal, K=5": (5, "proximal"),
}


def look_at(data, seed):
    def look(model, rounds):
        samples = model.sample(1000, seed=123, batch_size=1000)
        potential = model.critic(ops.convert_to_tensor(samples))
        points = planar.DATA[data](1000, 10_000 + seed)
        real = model.critic(ops.convert_to_tensor(points))
        return {
            "w1": planar.distance(model, data, seed),
            # What the critic says W1 is, and what the generator minimizes.
            "critic": float(ops.mean(real) - ops.mean(potential)),
            "objective": float(-ops.mean(potential)),
        }

    return look


def run(choice):
    persistency, update = RUNS[choice["run"]]
    model = planar.w1fe(choice["seed"], persistency=persistency, update=update)
    looks = planar.train(
        model,
        choice["data"],
        choice["seed"],
        choice["rounds"],
        choice["rounds"] // 20,
        look_at(choice["data"], choice["seed"]),
    )
    return {"looks": looks}


def choices(quick):
    return [
        {
            "run": name,
            "data": "ring",
            "rounds": 40 if quick else 800,
            "seed": seed,
        }
        for seed in range(1 if quick else 5)
        for name in RUNS
    ]


def of_run(results, name):
    return [r["looks"] for r in results if r["run"] == name]


def table(results):
    lines = head("update", "W1", "W1 by the critic", "span of -E D(G(z))")
    for name in RUNS:
        looks = of_run(results, name)
        spans = [np.ptp([look["objective"] for look in ls]) for ls in looks]
        lines.append(
            row(
                name,
                planar.mean_and_spread([planar.final(ls) for ls in looks]),
                planar.mean_and_spread(
                    [planar.final(ls, "critic") for ls in looks]
                ),
                f"{np.mean(spans):.2f}",
            )
        )
    return lines


def verdict(results):
    final = {
        name: np.mean([planar.final(ls) for ls in of_run(results, name)])
        for name in RUNS
    }
    loses = final["naive, K=5"] > 2 * final["K=1"]
    gains = final["persistent, K=5"] < final["K=1"]
    why = ", ".join(f"{name} {value:.2f}" for name, value in final.items())
    agree = loses and gains
    return (
        "reproduced" if agree else "not reproduced"
    ), f"W1 at the end: {why}"


def draw(results, path):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    for name in RUNS:
        looks = of_run(results, name)[0]
        rounds = [look["rounds"] for look in looks]
        for axis, value in zip(axes, ("w1", "objective")):
            axis.plot(rounds, [look[value] for look in looks], label=name)
    axes[0].set(ylabel="exact W1", xlabel="rounds", yscale="log")
    axes[1].set(ylabel="-E D(G(z)), which naive fits minimize", xlabel="rounds")
    axes[0].legend(fontsize=7)
    save(figure, path)


CLAIM = Claim(
    name="naive_persistence",
    title="Minimizing the plain loss again is not persistency",
    source="W1-FE, arXiv 2405.16351, sections 4 and 5",
    claim="Persistent training fits the samples that were moved along the flow "
    "once. Minimizing the generator's loss K times against the same critic "
    "instead makes training worse than K = 1.",
    setup="Eight Gaussians, 5 seeds, 800 rounds, step size 0.1; W1 is the mean "
    "over the second half. The objective is that of the first seed.",
    advice="Take `update='persistent'` or `'proximal'` with `persistency` "
    "above 1; `'naive'` is there for comparison.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
