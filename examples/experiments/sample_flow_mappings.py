"""What does the mapping do where there is no discriminator?

For each named mapping two generators follow a kernel ratio on the ring of eight
Gaussians:

- *near*: as in `sample_flows.py`, with the kernel Laplace .1, five fits and a
  normalized velocity. Shown is the exact Wasserstein-1 distance after 2000
  rounds.
- *far*: as in `far_start.py --samples`, from a start at distance 6, with the
  kernel Gaussian .2 and plain gradient descent. Shown are the rounds until the
  mean of the samples is within 3 of the origin.

A long experiment, about ten minutes: `--folder` keeps the results, the table
and the figure.

    cd examples/experiments
    python sample_flow_mappings.py
"""

import argparse
import pathlib

import far_start
import keras
import matplotlib.pyplot as plt
import numpy as np
import sample_flows

import keras_monoflow as kmf

NAMES = sorted(kmf.mappings.NAMED)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="runs of each kind")
    add("--rounds", type=int, default=300, help="at most, from the far start")
    path = pathlib.Path("runs/sample_flow_mappings")
    add("--folder", type=pathlib.Path, default=path, help="for all results")
    return parser.parse_args()


def near(arguments):
    """Distances by mapping, `(seeds,)` each."""
    choices = [
        {
            "data": "ring",
            "velocity": f"laplace .1, {name}",
            "update": "K=5, n",
            "batch": 256,
            "rounds": 2000,
            "seed": seed,
        }
        for seed in range(arguments.seeds)
        for name in NAMES
    ]
    path = arguments.folder / "near.jsonl"
    results = sample_flows.results_of(choices, path)
    return {
        name: [
            r["w1"] for r in results if r["velocity"] == f"laplace .1, {name}"
        ]
        for name in NAMES
    }


def far(arguments):
    """Rounds by mapping, or `None`."""
    rounds = {}
    for name in NAMES:
        rounds[name] = []
        for seed in range(arguments.seeds):
            keras.utils.clear_session()
            keras.utils.set_random_seed(seed)
            run = f"gaussian .2, {name}"
            rounds[name].append(
                far_start.rounds_home_by_samples(run, seed, arguments)
            )
        print("far", name, rounds[name], flush=True)
    return rounds


def print_table(distances, rounds, never):
    print("\n| mapping | near: W1 | far: rounds |\n|---|---|---|")
    for name in sorted(NAMES, key=lambda n: np.mean(distances[n])):
        w1 = distances[name]
        cells = ", ".join(str(r or never) for r in dict.fromkeys(rounds[name]))
        print(f"| {name} | {np.mean(w1):.3f} ± {np.std(w1):.3f} | {cells} |")


def draw(distances, rounds, limit, path):
    """Two bars for each mapping: near the data, and far from them."""
    names = sorted(NAMES, key=lambda n: np.mean(distances[n]), reverse=True)
    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(8, 4))
    means = [np.mean(distances[n]) for n in names]
    axes[0].barh(names, means, xerr=[np.std(distances[n]) for n in names])
    axes[0].axvline(sample_flows.floor("ring"), color="0.3", ls=":")
    axes[0].locator_params(axis="x", nbins=4)
    axes[0].set(title="near the data", xlabel="Wasserstein-1 distance")
    for i, name in enumerate(names):
        home = [r for r in rounds[name] if r]
        if home:
            axes[1].barh(i, np.median(home), color="C0")
        else:
            axes[1].text(1, i, f" never in {limit}", va="center", color="C3")
    axes[1].set(
        title="far from the data",
        xlabel="rounds until the samples are near",
        xscale="log",
        xlim=(1, limit),
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    arguments = parse_arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    distances, rounds = near(arguments), far(arguments)
    print_table(distances, rounds, f"never in {arguments.rounds}")
    path = arguments.folder / "mappings.png"
    draw(distances, rounds, arguments.rounds, path)
    print(f"\nThe figure: {path}")


if __name__ == "__main__":
    main()
