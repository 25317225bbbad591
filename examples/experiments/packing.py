"""Do packs reach more modes? The table of PacGAN, on a ring and a grid.

A GAN learns 8 Gaussians on a circle, or 25 on a square, with a discriminator
that sees 1, 2, 3 or 4 points at once, and once more one that sees single points
with R3GAN's loss and penalties. Networks, optimizer and batch are those of the
PacGAN authors: four layers of 400 ReLUs with batch normalization, three layers
of 200 maxouts of five, Adam with a rate of 1e-4 and beta_1 = 0.8, 100 groups a
batch, the same generated points in both networks' steps. Printed of 2500
samples are the modes that have one within three standard deviations, the share
of such samples, and the divergence of the modes' shares from equal ones. The
authors train for 400000 rounds, with ten seeds.

A long experiment: `--file` keeps what was done, and a run that was stopped goes
on with the next one. `--table` only prints.

    cd examples/experiments
    python packing.py --data grid --seeds 3
    python packing.py --data ring --rounds 400000 --seeds 10
"""

import argparse
import pathlib

import keras
import numpy as np
from keras import layers, ops
from sample_flows import of_kind, results_of

import keras_monoflow as kmf

#: Standard deviation, points and centers of each distribution.
DATA = {
    "ring": (
        0.01,
        lambda n: kmf.datasets.gaussian_ring(n, radius=1.0, std=0.01, seed=0),
        kmf.datasets.ring_centers(radius=1.0),
    ),
    "grid": (
        0.05,
        lambda n: kmf.datasets.gaussian_grid(n, std=0.05, seed=0),
        kmf.datasets.grid_centers(),
    ),
}
R3GAN = "relativistic, R1 + R2"
RUNS = ["pack=1", "pack=2", "pack=3", "pack=4", R3GAN]
GROUPS = 100


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", choices=DATA, default="grid", help="what to learn")
    add("--only", nargs="*", choices=RUNS, default=RUNS, metavar="RUN")
    add("--seeds", type=int, default=3, help="runs of each kind")
    add("--rounds", type=int, default=40_000)
    path = pathlib.Path("runs/packing.jsonl")
    add("--file", type=pathlib.Path, default=path, help="for the results")
    add("--table", action="store_true", help="print what there is, and end")
    return parser.parse_args()


def make_networks(pack, seed):
    seeds = iter(range(10 * seed, 10 * seed + 10))

    def dense(units, **options):
        normal = keras.initializers.RandomNormal(stddev=0.02, seed=next(seeds))
        return layers.Dense(units, kernel_initializer=normal, **options)

    z = x = keras.Input((2,))
    for _ in range(4):
        x = layers.BatchNormalization()(dense(400, use_bias=False)(x))
        x = layers.ReLU()(x)
    generator = keras.Model(z, dense(2)(x))
    points = x = keras.Input((2 * pack,))
    for _ in range(3):
        x = ops.max(layers.Reshape((200, 5))(dense(1000)(x)), axis=-1)
    return generator, keras.Model(points, dense(1)(x))


def run(choice):
    """Returns a choice with what its training leads to."""
    std, points, centers = DATA[choice["data"]]
    seed, name = choice["seed"], choice["run"]
    keras.utils.set_random_seed(seed)
    arguments, pack = {}, 1
    if name == R3GAN:
        arguments["mapping"] = arguments["discriminator_loss"] = "relativistic"
        arguments["penalty"] = [kmf.penalties.R1(1.0), kmf.penalties.R2(1.0)]
    else:
        pack = int(name[-1])
    gan = kmf.MonoFlowGAN(*make_networks(pack, seed), seed=seed, pack=pack)
    gan.compile(
        keras.optimizers.Adam(1e-4, 0.8),
        keras.optimizers.Adam(1e-4, 0.8),
        reuse_generated=True,
        **arguments,
    )
    data = kmf.datasets.ShuffledDataset(
        points(100_000),
        batch_size=GROUPS * pack,
        seed=seed,
        drop_remainder=True,
    )
    gan.fit(data, epochs=round(choice["rounds"] / len(data)), verbose=0)
    coverage = kmf.metrics.ModeCoverage(centers, std)
    return {**choice, **coverage.details(None, gan.sample(2500, seed=0))}


def print_table(results, data):
    results = of_kind(results, data=data)
    print(f"\n| {data} | rounds | modes | high quality | KL |")
    print("|---" * 5 + "|")
    for name, rounds in dict.fromkeys((r["run"], r["rounds"]) for r in results):
        of = of_kind(results, run=name, rounds=rounds)
        cells = [f"{rounds:,}"]
        for value, form in (
            ("modes", ".1f"),
            ("high_quality", ".1%"),
            ("kl", ".2f"),
        ):
            values = [r[value] for r in of]
            cell = f"{np.mean(values):{form}}"
            if len(values) > 1:
                spread = np.std(values, ddof=1) / np.sqrt(len(values))
                cell += f" ± {spread:{form}}"
            cells.append(cell)
        print(f"| {name} ({len(of)}) | " + " | ".join(cells) + " |")


def main():
    arguments = parse_arguments()
    choices = [
        {
            "data": arguments.data,
            "run": name,
            "seed": seed,
            "rounds": arguments.rounds,
        }
        for seed in range(arguments.seeds)
        for name in arguments.only
    ]
    choices = [] if arguments.table else choices
    print_table(results_of(choices, arguments.file, run), arguments.data)


if __name__ == "__main__":
    main()
