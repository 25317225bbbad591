"""Compares persistencies of W1-FE on eight Gaussians.

Trains W1FE with K = 1, 3, 5 and 10 fits a round, and as controls: naive updates
(K steps on the plain loss), proximal updates, and K = 1 with the generator's
learning rate times K. Every run sees the same data order and weights per seed.
The exact Wasserstein-1 distance between 1000 samples of a fixed latent batch
and 1000 balanced data points is taken every 100 rounds; "final" is its mean
over the last five. About a quarter of an hour for all runs.

    python examples/w1fe_ring.py                 # all runs, 5 seeds
    python examples/w1fe_ring.py --seeds 1 --only "K=1" "K=5"
"""

import argparse
import csv
import pathlib
import time

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_monoflow as kmf

#: name: (persistency, update, factor on the generator's learning rate)
RUNS = {
    "K=1": (1, "persistent", 1.0),
    "K=3": (3, "persistent", 1.0),
    "K=5": (5, "persistent", 1.0),
    "K=10": (10, "persistent", 1.0),
    "naive K=3": (3, "naive", 1.0),
    "naive K=5": (5, "naive", 1.0),
    "proximal K=5": (5, "proximal", 1.0),
    "K=1, rate x5": (1, "persistent", 5.0),
    "K=1, rate x10": (1, "persistent", 10.0),
}
BATCH, EVERY = 256, 100


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=5, help="runs of each kind")
    add("--rounds", type=int, default=800, help="rounds after the warm-up")
    add("--step-size", type=float, default=0.1, help="in data units")
    add("--critic-steps", type=int, default=1, help="critic updates a round")
    add(
        "--only",
        nargs="*",
        choices=RUNS,
        default=list(RUNS),
        metavar="RUN",
        help="which of them to run",
    )
    add(
        "--penalty",
        choices=("LipschitzPenalty", "GradientPenalty"),
        default="LipschitzPenalty",
        help="one-sided or two-sided",
    )
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/w1fe_ring"),
        help="folder for curves and values",
    )
    return parser.parse_args()


def make_model(run, seed, arguments):
    persistency, update, factor = RUNS[run]
    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2, seed=seed),
        kmf.networks.mlp_discriminator(2, seed=seed),
        seed=seed,
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4 * factor, 0.5, 0.9),
        critic_optimizer=keras.optimizers.Adam(1e-3, 0.5, 0.9),
        penalty=getattr(kmf.penalties, arguments.penalty)(10.0),
        critic_steps=arguments.critic_steps,
        critic_warmup=50,
        persistency=persistency,
        step_size=arguments.step_size,
        update=update,
    )
    return model


def train(run, seed, arguments):
    """Returns rows (run, seed, rounds, seconds of training, W1)."""
    keras.utils.set_random_seed(seed)
    model = make_model(run, seed, arguments)
    distance = kmf.metrics.WassersteinDistance()
    test = kmf.datasets.gaussian_ring(1000, seed=10_000 + seed)
    rows, seconds = [], 0.0
    # The warm-up, then stretches of rounds on fresh points.
    stretches = [50, *[EVERY] * (arguments.rounds // EVERY)]
    for i, rounds in enumerate(stretches):
        data = kmf.datasets.gaussian_ring(BATCH * rounds, seed=[seed, i])
        start = time.perf_counter()
        model.fit(data, batch_size=BATCH, shuffle=False, verbose=0)
        if i > 0:  # the warm-up compiles
            seconds += time.perf_counter() - start
        samples = model.sample(1000, seed=123, batch_size=1000)
        rows.append((run, seed, i * EVERY, seconds, distance(test, samples)))
    return rows


def final(rows, last):
    """Mean W1 over the checkpoints of the second half of a run."""
    values = [row[4] for row in rows if row[2] >= last / 2]
    return sum(values) / len(values)


def report(results, arguments):
    print(
        f"\nW1 after {arguments.rounds} rounds, {arguments.penalty}, "
        f"critic steps {arguments.critic_steps}, step size "
        f"{arguments.step_size}, {arguments.seeds} seeds, "
        f"{keras.backend.backend()}\n"
    )
    print(f"{'run':<16}{'W1':>8}{'+-':>8}{'ms a round':>14}")
    for run in arguments.only:
        finals, speeds = [], []
        for seed in range(arguments.seeds):
            rows = [r for r in results if r[:2] == (run, seed)]
            finals.append(final(rows, arguments.rounds))
            speeds.append(1000 * rows[-1][3] / rows[-1][2])
        spread = f"{np.std(finals, ddof=1):.3f}" if finals[1:] else "-"
        print(
            f"{run:<16}{np.mean(finals):>8.3f}{spread:>8}"
            f"{np.median(speeds):>14.2f}"
        )


def plot(results, arguments, path):
    """W1 against rounds and against seconds, mean and range over seeds."""
    figure = Figure(figsize=(11, 4.5), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for run in arguments.only:
        runs = [
            np.array([r[2:] for r in results if r[:2] == (run, seed)])
            for seed in range(arguments.seeds)
        ]
        curves = np.stack(runs).astype("float64")
        rounds, seconds, w1 = curves.mean(0).T
        style = "-" if run.count(" ") == 0 else "--"
        (line,) = left.plot(rounds, w1, style, label=run)
        low, high = curves[:, :, 2].min(0), curves[:, :, 2].max(0)
        left.fill_between(rounds, low, high, color=line.get_color(), alpha=0.15)
        right.plot(seconds, w1, style, color=line.get_color())
    left.set(xlabel="round", ylabel="exact W1 to the data", yscale="log")
    right.set(xlabel="seconds of training")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
    figure.legend(loc="outside right upper")
    figure.savefig(path)


def main():
    arguments = parse_arguments()
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    total = arguments.seeds * len(arguments.only)
    bar = keras.utils.Progbar(total, unit_name="run")
    results = []
    for seed in range(arguments.seeds):
        for run in arguments.only:
            results += train(run, seed, arguments)
            bar.add(1)
    with open(output / "w1.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", "seed", "round", "seconds", "w1"])
        writer.writerows(results)
    report(results, arguments)
    plot(results, arguments, output / "w1.png")
    print(f"\nThe curves are in {output}/w1.png, the values in w1.csv")


if __name__ == "__main__":
    main()
