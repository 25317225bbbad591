"""How well do generators learn from samples alone, by which velocity?

Trains a generator without a discriminator on points in the plane, with every
velocity of the package, one or five fits a round, and velocities as they are or
divided by their mean length. Printed is the exact Wasserstein-1 distance of
1000 samples to 1000 data points spread evenly over the modes: the mean over the
last five of ten looks and four batches of samples, with its standard deviation
over the seeds. The floor is that of 1000 points drawn from the data themselves.

A long experiment, about a quarter of a minute a run: `--file` keeps what was
done, and a run that was stopped goes on. `python sample_flows.py --table` only
prints.

    cd examples/experiments
    python sample_flows.py --data ring --seeds 3
    python sample_flows.py --data grid --only "student .1" --seeds 1
    python sample_flows.py --data ring --batches
    python sample_flows.py --data ring --discriminators
"""

import argparse
import json
import pathlib
import time

import keras
import numpy as np

import keras_monoflow as kmf
from keras_monoflow import velocities as v

DATA = {
    "ring": kmf.datasets.gaussian_ring,
    "grid": lambda n, seed: kmf.datasets.gaussian_grid(
        n, spacing=1.0, std=0.05, seed=seed
    ),
    "checkerboard": kmf.datasets.checkerboard,
}


class OwnBatchDrifting(v.Drifting):
    """As in the drifting authors' code: the generated rows repel each other."""

    uses_second_batch = False


VELOCITIES = {
    "drifting": v.Drifting,
    "drifting, own batch": OwnBatchDrifting,
    "drifting, floor 1e-6": lambda: v.Drifting(floor=1e-6),
    "gaussian .2": lambda: v.KernelRatio("gaussian", 0.2),
    "laplace .2": lambda: v.KernelRatio("laplace", 0.2),
    "laplace .1": lambda: v.KernelRatio("laplace", 0.1),
    "student .2": lambda: v.KernelRatio("student", 0.2),
    "student .1": lambda: v.KernelRatio("student", 0.1),
    "sinkhorn .01": lambda: v.Sinkhorn(0.01),
    "sinkhorn .05": v.Sinkhorn,
    "energy": v.Energy,
    "mmd": v.MMD,
    "sliced": v.SlicedWasserstein,
}

#: Arguments of `compile` by what the table calls them.
UPDATES = {
    "K=1": {},
    "K=5": {"persistency": 5},
    "K=5, step .3": {"persistency": 5, "step_size": 0.3},
    "K=5, n": {
        "persistency": 5,
        "step_size": 0.1,
        "normalize_velocity": True,
    },
}

#: For comparison: a model with a discriminator, and arguments of `compile`.
PENALTIES = [kmf.penalties.R1(1.0), kmf.penalties.R2(1.0)]
WITH_DISCRIMINATOR = {
    "GAN, R1 + R2": (
        kmf.MonoFlowGAN,
        {"discriminator_optimizer": 1e-3, "penalty": PENALTIES},
    ),
    "W1FE, 5 critic steps": (
        kmf.W1FE,
        {"critic_optimizer": 1e-3, "critic_steps": 5},
    ),
}

#: What `--batches` compares.
BATCHES = [16, 64, 256, 512]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", choices=DATA, default="ring", help="what to learn")
    add("--only", nargs="*", metavar="VELOCITY", help="these velocities alone")
    add("--updates", nargs="*", choices=UPDATES, default=list(UPDATES))
    add(
        "--discriminators",
        action="store_true",
        help="models with a discriminator instead",
    )
    add("--batches", action="store_true", help="four batch sizes, K=5, n")
    add("--seeds", type=int, default=3, help="runs of each kind")
    add("--rounds", type=int, default=2000)
    add("--batch-size", type=int, default=256)
    path = pathlib.Path("runs/sample_flows.jsonl")
    add("--file", type=pathlib.Path, default=path, help="for the results")
    add("--table", action="store_true", help="print what there is, and end")
    return parser.parse_args()


def wanted(arguments):
    """The runs as dictionaries of what tells them apart."""
    names, updates, sizes = (
        VELOCITIES,
        arguments.updates,
        [arguments.batch_size],
    )
    if arguments.discriminators:
        names = WITH_DISCRIMINATOR
    if arguments.batches:
        names = [
            "drifting",
            "drifting, own batch",
            "laplace .2",
            "sinkhorn .05",
        ]
        updates, sizes = ["K=5, n"], BATCHES
    return [
        {
            "data": arguments.data,
            "velocity": name,
            "update": update,
            "batch": size,
            "rounds": arguments.rounds,
            "seed": seed,
        }
        for seed in range(arguments.seeds)
        for name in names
        if not arguments.only or name in arguments.only
        for update in updates
        for size in sizes
    ]


def adam(rate):
    return keras.optimizers.Adam(rate, 0.5, 0.9)


def make_model(choice):
    """The model of a run, compiled."""
    name, seed = choice["velocity"], choice["seed"]
    update = UPDATES[choice["update"]]
    generator = kmf.networks.mlp_generator(2, 2, seed=seed)
    if name not in WITH_DISCRIMINATOR:
        flow = kmf.SampleFlow(generator, seed=seed)
        velocity = VELOCITIES[name]()
        flow.compile(adam(5e-4), velocity, **update)
        return flow
    model, options = WITH_DISCRIMINATOR[name]
    options = {
        k: adam(v) if k.endswith("optimizer") else v for k, v in options.items()
    }
    discriminator = kmf.networks.mlp_discriminator(2, seed=seed)
    gan = model(generator, discriminator, seed=seed)
    gan.compile(generator_optimizer=adam(5e-4), **options, **update)
    return gan


def run(choice):
    """Trains a generator; returns its distance to the data and the seconds."""
    seed, flow = choice["seed"], make_model(choice)
    looks = choice["rounds"] // 10
    x = DATA[choice["data"]](choice["batch"] * looks, seed=100 + seed)
    real = DATA[choice["data"]](1000, seed=1)
    distance = kmf.metrics.WassersteinDistance()
    distances, seconds = [], 0.0
    for epoch in range(10):
        batches = kmf.datasets.ShuffledDataset(
            x, batch_size=choice["batch"], seed=epoch
        )
        start = time.perf_counter()
        flow.fit(batches, verbose=0)
        seconds += time.perf_counter() - start
        if epoch >= 5:
            samples = flow.sample(4000, seed=0).reshape(4, 1000, 2)
            distances += [distance(real, part) for part in samples]
    return {
        **choice,
        "w1": float(np.mean(distances)),
        "modes": modes(choice["data"], flow.sample(5000, seed=2)),
        "seconds": seconds,
    }


def modes(data, samples):
    """Modes found, and the share of samples within 3 standard deviations."""
    known = {
        "ring": (kmf.datasets.ring_centers(), 0.1),
        "grid": (kmf.datasets.grid_centers(spacing=1.0), 0.05),
    }
    if data not in known:
        return None
    centers, std = known[data]
    distances = np.linalg.norm(samples[:, None] - centers, axis=-1)
    near = distances.min(1) < 3 * std
    found = np.bincount(distances.argmin(1)[near], minlength=len(centers))
    return [int((found >= 20).sum()), float(near.mean())]


def floor(data):
    """The distance of points drawn from the data."""
    distance = kmf.metrics.WassersteinDistance()
    real = DATA[data](1000, seed=1)
    points, rng = DATA[data](100_000, seed=2), np.random.default_rng(0)
    draws = [points[rng.integers(len(points), size=1000)] for _ in range(10)]
    return np.mean([distance(real, draw) for draw in draws])


def read(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def print_table(results, arguments):
    """One row for each velocity, one column for each update and batch."""
    results = of_kind(results, data=arguments.data, rounds=arguments.rounds)
    columns = sorted({(r["update"], r["batch"]) for r in results})
    rows = list(dict.fromkeys(r["velocity"] for r in results))
    print(f"\n{arguments.data}, W1 (floor {floor(arguments.data):.3f})\n")
    head = [f"{update}, batch {batch}" for update, batch in columns]
    print("| velocity | " + " | ".join(head) + " | modes, near |")
    print("|---" * (len(columns) + 2) + "|")
    for row in rows:
        cells, best = [], None
        for update, batch in columns:
            of = [
                r
                for r in results
                if (r["velocity"], r["update"], r["batch"])
                == (row, update, batch)
            ]
            w1 = [r["w1"] for r in of]
            cells.append(f"{np.mean(w1):.3f} ± {np.std(w1):.3f}" if w1 else "-")
            best = of or best
        found = [r["modes"] for r in best or [] if r["modes"]]
        last = "-"
        if found:
            m, share = np.mean(found, axis=0)
            last = f"{m:.1f}, {100 * share:.0f} %"
        print(f"| {row} | " + " | ".join(cells) + f" | {last} |")
    seconds = [r["seconds"] for r in results]
    if seconds:
        print(
            f"\n{len(results)} runs, {np.median(seconds):.0f} s at the median"
        )


def of_kind(results, **kind):
    """The results with these settings: a file may hold those of others."""
    return [r for r in results if kind.items() <= r.items()]


def results_of(choices, path, run=run):
    """Runs what the file does not hold yet, and returns all that it holds.

    A result is a dictionary that begins with the choice it came from.
    """
    done = read(path)
    left = [
        choice
        for choice in choices
        if not any(choice.items() <= result.items() for result in done)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    for i, choice in enumerate(left):
        keras.utils.clear_session()
        result = run(choice)
        done.append(result)
        with path.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{i + 1}/{len(left)}", *result.values(), flush=True)
    return done


def main():
    arguments = parse_arguments()
    choices = [] if arguments.table else wanted(arguments)
    print_table(results_of(choices, arguments.file), arguments)


if __name__ == "__main__":
    main()
