"""Maps USPS digits to MNIST digits with W1-FE, and reads MNIST by them.

Unsupervised domain adaptation, after arXiv 2405.16351: the generator starts
from USPS images in place of noise and learns to make MNIST images of them. No
label is used. Afterwards each mapped USPS image keeps its label, and the
nearest of them tells the digit of an MNIST test image. The accuracy of that on
all 10,000 test images is the score; with unmapped images it is the baseline.

Persistent updates with K = 1, 3 and 5 and naive ones with K = 5 are compared at
equal numbers of generator updates, of rounds, and of seconds of training. The
runs of a seed see the same data and take turns. Seconds are processor time of
training alone: no compilation, no scoring and, on a busy machine, no waiting.
(With a GPU, read the seconds on the clock in the CSV instead.)

Images are 16x16 with values in [-1, 1]. The networks are perceptrons with
ReLUs: 256-200-500-256 with batch normalization for the f of the generator
`x + 2 tanh(f(x))`, and 256-200-500-1 for the critic. Both learn with Adam, rate
1e-4, betas 0 and 0.9.

A long experiment: about half an hour on two cores.

    cd examples/experiments
    python usps_to_mnist.py
    python usps_to_mnist.py --usps ~/usps --seeds 1 --updates 200
"""

import argparse
import csv
import pathlib
import time

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure
from sklearn.neighbors import KNeighborsClassifier

import keras_monoflow as kmf

#: name: (persistency, update)
RUNS = {
    "K=1": (1, "persistent"),
    "K=3": (3, "persistent"),
    "K=5": (5, "persistent"),
    "naive K=5": (5, "naive"),
}
FIELDS = ("run", "seed", "rounds", "updates", "seconds", "clock", "accuracy")
WARMUP = 100  # rounds in which the critic learns alone


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--usps", help="folder with USPS files; by default they are downloaded")
    add("--seeds", type=int, default=3, help="runs of each kind")
    add(
        "--only",
        nargs="*",
        choices=RUNS,
        default=list(RUNS),
        metavar="RUN",
        help="which of them to run",
    )
    add("--updates", type=int, default=5000, help="of the generator, at least")
    add("--rounds", type=int, help="at least; by default half the updates")
    add("--every", type=int, default=250, help="rounds between two scores")
    add("--batch-size", type=int, default=64, help="images in a batch")
    add(
        "--step-size",
        type=float,
        default=1.0,
        help="in data units; of 0.5, 1, 2 and 4 the best after 1500 rounds of "
        "K=5 with seed 0; MNIST images lie 6.5 from their mean",
    )
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/usps"),
        help="folder for pictures and values",
    )
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or arguments.updates // 2
    arguments.every = min(arguments.every, arguments.rounds)
    return arguments


def load_digits(name, split, arguments):
    """Returns images (n, 256) of 16x16 pixels in [-1, 1], and labels."""
    images, labels = kmf.datasets.load_images(
        name,
        split=split,
        size=16 if name == "mnist" else None,
        data_dir=arguments.data_dir,
        manual_dir=arguments.usps if name == "usps" else None,
        with_labels=True,
    )
    return images.reshape(-1, 256), labels


def make_generator():
    """A residual map that starts near the identity.

    With the small weights of the last layer `f` starts at about 0.02. Digits
    then start as themselves, and what moves them is the flow. A random map
    would mix up the classes first, and nothing in the loss, which knows no
    labels, would sort them again.
    """
    small = keras.initializers.RandomNormal(stddev=1e-3)
    inputs = x = keras.Input((256,))
    for units in (200, 500):
        x = layers.Dense(units, use_bias=False)(x)
        # The settings of torch. Those of Keras average over more rounds.
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        x = layers.ReLU()(x)
    x = layers.Dense(256, activation="tanh", kernel_initializer=small)(x)
    return keras.Model(inputs, inputs + 2.0 * x, name="generator")


def make_critic():
    # No batch norm: the penalty bounds the gradient of one sample at a time.
    inputs = x = keras.Input((256,))
    for units in (200, 500):
        x = layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(1)(x), name="critic")


def make_model(run, seed, source, arguments):
    keras.utils.set_random_seed(seed)  # all runs start with the same weights
    persistency, update = RUNS[run]
    model = kmf.W1FE(make_generator(), make_critic(), prior=source, seed=seed)
    model.compile(
        generator_optimizer=keras.optimizers.Adam(1e-4, 0.0, 0.9),
        critic_optimizer=keras.optimizers.Adam(1e-4, 0.0, 0.9),
        critic_steps=5,
        critic_warmup=WARMUP,
        persistency=persistency,
        step_size=arguments.step_size,
        update=update,
    )
    return model


class Run:
    """A model in training, and a row of FIELDS for every score."""

    def __init__(self, name, seed, source, arguments):
        self.name, self.seed = name, seed
        self.persistency = RUNS[name][0]
        self.model = make_model(name, seed, source, arguments)
        # Enough rounds for both budgets.
        updates = -(-arguments.updates // self.persistency)
        self.last_round = max(arguments.rounds, updates)
        self.batch_size = arguments.batch_size
        self.rounds = self.seconds = self.clock = 0
        self.rows = []

    def _fit(self, data):
        self.model.fit(
            data, batch_size=self.batch_size, shuffle=False, verbose=0
        )

    def warm_up(self, data):
        """Trains the critic and compiles, which no count includes."""
        self._fit(data)

    def train(self, data):
        """One batch of `data` a round."""
        clock, seconds = time.perf_counter(), time.process_time()
        self._fit(data)
        self.clock += time.perf_counter() - clock
        self.seconds += time.process_time() - seconds
        self.rounds += len(data) // self.batch_size

    def map(self, images):
        # `predict` would compile a function for each of the models.
        return keras.ops.convert_to_numpy(self.model(images))

    def score(self, source, labels, test):
        accuracy = nearest_accuracy(self.map(source), labels, test)
        updates = self.rounds * self.persistency
        times = round(self.seconds, 3), round(self.clock, 3)
        self.rows.append(
            (self.name, self.seed, self.rounds, updates, *times, accuracy)
        )


def nearest_accuracy(images, labels, test):
    """Share of test images whose nearest labelled image has their label."""
    nearest = KNeighborsClassifier(1, algorithm="brute")
    return nearest.fit(images, labels).score(*test)


def train_all(seed, source, labels, target, test, arguments):
    """Trains all kinds of runs in turns, and returns them."""
    runs = [Run(n, seed, source, arguments) for n in arguments.only]
    rng = np.random.default_rng(seed)

    def draw(rounds):
        size = arguments.batch_size * rounds
        return target[rng.integers(len(target), size=size)]

    data = draw(WARMUP)
    for run in runs:
        run.warm_up(data)
        run.score(source, labels, test)
    stretches = [-(-run.last_round // arguments.every) for run in runs]
    print(f"\nseed {seed}")
    bar = keras.utils.Progbar(sum(stretches), unit_name="stretch")
    for i in range(max(stretches)):
        data = draw(arguments.every)
        for run, count in zip(runs, stretches):
            if i < count:
                run.train(data)
                run.score(source, labels, test)
                bar.add(1)
    return runs


def curves(results, run, against):
    """For each seed two arrays: rounds, updates or seconds; and accuracy."""
    x, found = FIELDS.index(against), {}
    for row in results:
        if row[0] == run:
            found.setdefault(row[1], []).append((row[x], 100 * row[-1]))
    return [np.array(points, dtype="float64").T for points in found.values()]


def print_table(results, runs, against):
    """Accuracy at a quarter, a half and all of what every run reached."""
    lines = {run: curves(results, run, against) for run in runs}
    common = min(x[-1] for seeds in lines.values() for x, _ in seeds)
    ends = common * np.array([0.25, 0.5, 1.0])
    head = "".join(f"{end:>16.4g}" for end in ends)
    print(f"\n{'at equal ' + against:<18}{head}")
    for run in runs:
        cells = ""
        for end in ends:
            # Straight lines between the scores.
            values = [np.interp(end, *line) for line in lines[run]]
            spread = f"{np.std(values, ddof=1):.1f}" if values[1:] else "-"
            cells += f"{np.mean(values):>8.1f} +- {spread:>4}"
        print(f"{run:<18}{cells}")


def print_speeds(results, runs):
    print(f"\n{'':<18}{'ms a round':>16}{'rounds in all':>16}")
    for run in runs:
        # The last row of each seed.
        last = {row[1]: row for row in results if row[0] == run}.values()
        speed = np.mean([1000 * row[4] / row[2] for row in last])
        print(f"{run:<18}{speed:>16.1f}{max(r[2] for r in last):>16}")


def report(results, baseline, arguments):
    print(
        "\nAccuracy on the MNIST test set in percent, mean and standard "
        f"deviation over\n{arguments.seeds} seeds; step size "
        f"{arguments.step_size}, batch {arguments.batch_size}, "
        f"{keras.backend.backend()}"
    )
    print(f"\n{'USPS as it is':<18}{100 * baseline:>8.1f}")
    for against in ("updates", "rounds", "seconds"):
        print_table(results, arguments.only, against)
    print_speeds(results, arguments.only)


def draw_curves(axes, results, run, against):
    """Mean over the seeds as a line, their range as a band."""
    lines = curves(results, run, against)
    # Seconds differ from seed to seed: read all curves at the same ones.
    x = np.linspace(0, min(line[0][-1] for line in lines), 200)
    y = np.stack([np.interp(x, *line) for line in lines])
    style = "--" if "naive" in run else "-"
    (line,) = axes.plot(x, y.mean(0), style, label=run)
    axes.fill_between(
        x, y.min(0), y.max(0), color=line.get_color(), alpha=0.15, lw=0
    )


def plot(results, baseline, arguments, path):
    figure = Figure(figsize=(10, 4.2), dpi=110, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    labels = ("generator updates", "seconds of training (processor time)")
    for axes, against, label in zip(panels, ("updates", "seconds"), labels):
        for run in arguments.only:
            draw_curves(axes, results, run, against)
        axes.axhline(100 * baseline, color="0.4", ls=":", label="USPS as it is")
        axes.set(xlabel=label)
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="accuracy on MNIST, percent")
    panels[0].legend()
    figure.savefig(path)


def two_of_each(labels):
    """Indices of the first two images of every digit."""
    return np.concatenate([np.flatnonzero(labels == d)[:2] for d in range(10)])


def draw_samples(runs, source, labels, target, path):
    """A column for each digit: USPS, what every run made of it, and MNIST."""
    shown = two_of_each(labels)
    rows = {"USPS": source[shown]}
    rows |= {run.name: run.map(source)[shown] for run in runs}
    rows["MNIST, unpaired"] = target[0][two_of_each(target[1])]
    images = np.concatenate(list(rows.values())).reshape(-1, 16, 16, 1)
    grid = kmf.callbacks.image_grid(images, columns=20, scale=3)
    figure = Figure(figsize=(11, 0.51 * len(rows)), dpi=100)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    axes.imshow(grid, interpolation="nearest")
    height = len(grid) / len(rows)
    axes.set_yticks([(i + 0.5) * height for i in range(len(rows))], rows)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.savefig(path, bbox_inches="tight")


def write_csv(results, path):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(results)


def main():
    arguments = parse_arguments()
    source, labels = load_digits("usps", "train", arguments)
    target = load_digits("mnist", "train", arguments)
    test = load_digits("mnist", "test", arguments)
    baseline = nearest_accuracy(source, labels, test)
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(arguments.seeds):
        runs = train_all(seed, source, labels, target[0], test, arguments)
        results += [row for run in runs for row in run.rows]
        write_csv(results, output / "accuracy.csv")
        if seed == 0:
            draw_samples(runs, source, labels, target, output / "samples.png")
    report(results, baseline, arguments)
    plot(results, baseline, arguments, output / "accuracy.png")
    print(f"\naccuracy.csv, accuracy.png and samples.png are in {output}")


if __name__ == "__main__":
    main()
