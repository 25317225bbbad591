"""Small digits from samples alone: which velocity, one fit or five?

The digits are those of scikit-learn, 8 x 8 pixels from -1 to 1: 1400 to learn
from, 397 held out. An MLP learns them without a discriminator and without
features. Printed are

- the Fréchet distance in pixels of 397 samples to the held-out digits, the
  mean over ten batches of samples, with its standard deviation over the seeds;
  the floor is that of 397 training digits;
- `nearest`: how far a sample is from the nearest training digit, beside how
  far a held-out digit is (medians of distances). A value well below 1
  would mean that training digits were memorized;
- the classes that a nearest neighbor reads in one percent of the samples.

A long experiment, about half a minute a run: `--file` keeps what was done, and
`python sample_flow_digits.py --table` only prints.

    cd examples/experiments
    python sample_flow_digits.py
    python sample_flow_digits.py --only "sinkhorn .05" --seeds 1
"""

import argparse
import pathlib

import keras
import numpy as np
from sample_flows import UPDATES, VELOCITIES, of_kind, results_of
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import keras_monoflow as kmf

TRAINING, BATCH = 1400, 256
NAMES = [name for name in VELOCITIES if not name.startswith("drifting, ")]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--only", nargs="*", choices=NAMES, default=NAMES, metavar="VELOCITY")
    add("--updates", nargs="*", choices=UPDATES, default=["K=1", "K=5, n"])
    add("--seeds", type=int, default=3, help="runs of each kind")
    add("--rounds", type=int, default=2640)
    add("--step-size", type=float, default=0.25, help="of K=5, n")
    path = pathlib.Path("runs/sample_flow_digits.jsonl")
    add("--file", type=pathlib.Path, default=path, help="for the results")
    add("--table", action="store_true", help="print what there is, and end")
    return parser.parse_args()


def load():
    """Training digits with their labels, and held-out digits, as rows."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.data))
    images = digits.data[order].astype("float32") / 8 - 1
    labels = digits.target[order]
    return images[:TRAINING], labels[:TRAINING], images[TRAINING:]


def run(choice, images, labels, held_out):
    """Trains a generator; returns its scores."""
    seed = choice["seed"]
    flow = kmf.SampleFlow(
        kmf.networks.mlp_generator(32, 64, units=(256, 256), seed=seed),
        seed=seed,
    )
    options = dict(UPDATES[choice["update"]])
    if "step_size" in options:
        options["step_size"] = choice["step_size"]
    velocity = VELOCITIES[choice["velocity"]]()
    flow.compile(keras.optimizers.Adam(5e-4, 0.5, 0.9), velocity, **options)
    rng = np.random.default_rng(seed)
    rows = rng.integers(TRAINING, size=BATCH * choice["rounds"])
    flow.fit(images[rows], batch_size=BATCH, shuffle=False, verbose=0)

    n = len(held_out)
    samples = flow.sample(10 * n, seed=0).reshape(10, n, 64)
    distance = kmf.metrics.FrechetDistance()
    neighbor = KNeighborsClassifier(1).fit(images, labels)
    of_samples, of_held_out = (
        np.median(neighbor.kneighbors(x)[0])
        for x in (samples.reshape(-1, 64), held_out)
    )
    shares = np.bincount(neighbor.predict(samples.reshape(-1, 64)))
    return {
        **choice,
        "frechet": float(np.mean([distance(held_out, s) for s in samples])),
        "nearest": float(of_samples / of_held_out),
        "classes": int((shares >= n // 10).sum()),
    }


def print_table(results):
    columns = sorted({r["update"] for r in results})
    head = [f"{u}: Fréchet | nearest | classes" for u in columns]
    print("\n| velocity | " + " | ".join(head) + " |")
    print("|---" * (1 + 3 * len(columns)) + "|")
    for name in dict.fromkeys(r["velocity"] for r in results):
        cells = []
        for update in columns:
            of = [
                r
                for r in results
                if (r["velocity"], r["update"]) == (name, update)
            ]
            values = {
                key: [r[key] for r in of]
                for key in ("frechet", "nearest", "classes")
            }
            if not of:
                cells += ["-"] * 3
                continue
            f = values["frechet"]
            cells += [
                f"{np.mean(f):.2f}" + (f" ± {np.std(f):.2f}" if f[1:] else ""),
                f"{np.mean(values['nearest']):.2f}",
                f"{np.mean(values['classes']):.1f}",
            ]
        print(f"| {name} | " + " | ".join(cells) + " |")


def main():
    arguments = parse_arguments()
    images, labels, held_out = load()
    choices = [
        {
            "velocity": name,
            "update": update,
            "rounds": arguments.rounds,
            "step_size": arguments.step_size,
            "seed": seed,
        }
        for seed in range(arguments.seeds)
        for name in arguments.only
        for update in arguments.updates
    ]
    done = results_of(
        [] if arguments.table else choices,
        arguments.file,
        lambda choice: run(choice, images, labels, held_out),
    )
    distance = kmf.metrics.FrechetDistance()
    floor = distance(held_out, images[: len(held_out)])
    print(f"\nFréchet distance of training digits: {floor:.2f}")
    print_table(
        of_kind(done, rounds=arguments.rounds, step_size=arguments.step_size)
    )


if __name__ == "__main__":
    main()
