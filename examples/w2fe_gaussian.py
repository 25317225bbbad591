"""Checks W2-FE where everything is known: between two Gaussians in the plane.

From N(0, I) to N(0, S) the optimal map is the matrix square root of S, and
along the flow every round should multiply the Wasserstein-2 distance by
1 - step_size. The first part trains the potentials alone and compares the
learned map; the second lets a linear generator follow the flow and compares the
distance, in closed form, round by round. About ten minutes.

    python examples/w2fe_gaussian.py
"""

import argparse
import csv
import math
import pathlib

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_monoflow as kmf

COVARIANCE = [[1.0, 0.8], [0.8, 0.89]]
BATCH = 256


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="runs of each kind")
    add("--warmup", type=int, default=5000, help="steps of potentials alone")
    add("--potential-steps", type=int, default=50, help="in a round")
    add(
        "--step-sizes",
        nargs="*",
        type=float,
        default=[0.1, 0.25, 0.5],
        help="of the flows to compare",
    )
    path = pathlib.Path("runs/w2fe_gaussian")
    add(
        "--output",
        type=pathlib.Path,
        default=path,
        help="folder for curves and values",
    )
    arguments = parser.parse_args()
    if not all(0 < step_size < 1 for step_size in arguments.step_sizes):
        parser.error("--step-sizes: numbers between 0 and 1")
    if arguments.warmup < 1 or arguments.potential_steps < 1:
        parser.error("--warmup, --potential-steps: at least 1")
    return arguments


def square_root(matrix):
    """Returns the symmetric square root of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def w2(a, b):
    """Returns W2 between centered Gaussians of two covariances (Bures)."""
    root = square_root(a)
    cross = square_root(root @ b @ root)
    return np.sqrt(max(np.trace(a + b - 2 * cross), 0.0))


def make_model(seed, step_size, learning_rate, steps, warmup):
    """A linear generator that starts as the identity, and two potentials."""
    keras.utils.set_random_seed(seed)
    identity = keras.layers.Dense(
        2, use_bias=False, kernel_initializer=keras.initializers.Identity()
    )
    model = kmf.W2FE(
        keras.Sequential([keras.Input((2,)), identity]),
        kmf.networks.mlp_discriminator(2, seed=seed),
        kmf.networks.mlp_discriminator(2, seed=seed + 1000),
        seed=seed,
    )
    # With E zz' = I, ten steps of rate 1/2 solve the regression of a round.
    model.compile(
        generator_optimizer=keras.optimizers.SGD(0.5),
        potential_optimizer=keras.optimizers.Adam(learning_rate, 0.5, 0.9),
        potential_steps=steps,
        potential_warmup=warmup,
        persistency=10,
        step_size=step_size,
    )
    return model


def draw(rounds, seed):
    """Returns real samples for so many rounds."""
    root = square_root(np.array(COVARIANCE))
    points = np.random.default_rng(seed).normal(size=(BATCH * rounds, 2))
    return (points @ root).astype("float32")


def train(model, rounds, seed):
    data = draw(rounds, seed)
    model.fit(data, batch_size=BATCH, shuffle=False, verbose=0)


def map_error(seed, arguments):
    """Returns errors of the learned map, relative to T(x) - x and to T(x)."""
    warmup = arguments.warmup
    decay = keras.optimizers.schedules.CosineDecay(1e-3, warmup)
    model = make_model(seed, 0.5, decay, steps=1, warmup=warmup)
    train(model, warmup, seed)
    x = np.random.default_rng([seed, 1]).normal(size=(4000, 2))
    truth = x @ square_root(np.array(COVARIANCE))

    def length(vectors):
        return np.sqrt(np.mean(np.sum(vectors**2, axis=1)))

    error = length(model.transport(x) - truth)
    return error / length(truth - x), error / length(truth)


def distances(step_size, seed, arguments):
    """Returns W2 before the first round and after each."""
    steps = arguments.potential_steps
    warmup = arguments.warmup // steps
    model = make_model(seed, step_size, 1e-3, steps, warmup)
    if warmup > 0:
        train(model, warmup, seed)
    # Until a tenth of the distance should be left.
    rounds = math.ceil(math.log(0.1) / math.log(1 - step_size))
    values = []
    for i in range(rounds + 1):
        if i > 0:
            train(model, 1, [seed, i])
        (kernel,) = model.generator.get_weights()
        values.append(w2(kernel.T @ kernel, np.array(COVARIANCE)))
    return values


def factor(values):
    """Returns the factor a round of a geometric sequence, least squares."""
    return np.exp(np.polyfit(np.arange(len(values)), np.log(values), 1)[0])


def report(errors, curves, arguments):
    errors = 100 * np.array(errors)
    print(f"\n{arguments.seeds} seeds, {keras.backend.backend()}\n")
    for name, column in zip(("T(x) - x", "T(x)"), errors.T):
        print(
            f"error of the map, relative to {name:<9}"
            f"{column.mean():>6.1f} % (largest {column.max():.1f} %)"
        )
    print(
        f"\n{'step_size':>10}{'expected factor':>18}{'measured':>10}{'+-':>8}"
    )
    for step_size in arguments.step_sizes:
        factors = [factor(c) for s, _, c in curves if s == step_size]
        spread = f"{np.std(factors, ddof=1):.3f}" if factors[1:] else "-"
        print(
            f"{step_size:>10}{1 - step_size:>12.3f}{np.mean(factors):>12.3f}"
            f"{spread:>8}"
        )


def plot(curves, path):
    """The distance round by round, beside the predicted lines."""
    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    colors = {}
    for step_size, _, values in curves:
        rounds = np.arange(len(values))
        if step_size not in colors:
            colors[step_size] = f"C{len(colors)}"
            expected = values[0] * (1 - step_size) ** rounds
            axes.plot(
                rounds, expected, "--", color=colors[step_size], linewidth=1
            )
            label = f"step_size {step_size}"
        axes.plot(rounds, values, ".-", color=colors[step_size], label=label)
        label = None
    axes.set(xlabel="round", ylabel="W2 to the data", yscale="log")
    axes.set_title("Dashed: (1 - step_size) ** round", fontsize=10)
    axes.grid(alpha=0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend()
    figure.savefig(path)


def main():
    arguments = parse_arguments()
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    total = arguments.seeds * (1 + len(arguments.step_sizes))
    bar = keras.utils.Progbar(total, unit_name="run")
    errors, curves = [], []
    for seed in range(arguments.seeds):
        errors.append(map_error(seed, arguments))
        bar.add(1)
        for step_size in arguments.step_sizes:
            values = distances(step_size, seed, arguments)
            curves.append((step_size, seed, values))
            bar.add(1)
    with open(output / "w2.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step_size", "seed", "round", "w2"])
        for step_size, seed, values in curves:
            for i, value in enumerate(values):
                writer.writerow([step_size, seed, i, value])
    report(errors, curves, arguments)
    plot(curves, output / "w2.png")
    print(f"\nThe curves are in {output}/w2.png, the values in w2.csv")


if __name__ == "__main__":
    main()
