"""Which mapping suits the data? A search with KerasTuner.

Tries all mappings in a grid with several seeds, on

    ring        eight Gaussians in the plane, exact Wasserstein distance
    far_start   the same, with a generator that starts far away and learns by
                plain gradient descent: here the answer is known
    digits      8x8 digits of scikit-learn, Fréchet distance of the pixels,
                with 1 and with 5 discriminator steps a round
    mnist       MNIST, Fréchet distance of the features of a small classifier

It prints the table of trials, which mapping won, and whether by more than the
spread over seeds, and draws both. A search that was killed goes on with its
finished trials when started again with the same `--output`. About half an hour.

    python examples/tune_mappings.py
    python examples/tune_mappings.py --workers 2
    python examples/tune_mappings.py --data digits --seeds 3
    python examples/tune_mappings.py --oracle bayesian --trials 20
    python examples/tune_mappings.py --oracle hyperband
"""

import argparse
import os
import pathlib
import sys

import keras
import keras_tuner
import numpy as np
from mnist import train_classifier
from sklearn.datasets import load_digits

import keras_monoflow as kmf

MAPPINGS = [
    "identity",
    "non_saturating",
    "arcsinh",
    "hellinger",
    "mle",
    "jeffreys",
    "least_squares",
    "vanilla",
]

#: The settings of the MonoFlow authors for images, as in mnist.py.
OF_THE_AUTHORS = {
    "shift": [0.0, 5.0],
    "limit": 12.0,
    "penalty": "none",
    "generator_learning_rate": 1e-4,
    "discriminator_learning_rate": 2e-4,
    "beta_1": 0.5,
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", choices=PROBLEMS, default="ring", help="the problem")
    add(
        "--oracle",
        choices=("grid", "random", "bayesian", "hyperband"),
        default="grid",
        help="grid: all mappings; the others search learning rates, K, step "
        "size and more, too",
    )
    add("--trials", type=int, default=None, help="at most that many")
    add("--epochs", type=int, default=None, help="instead of the problem's own")
    add(
        "--seeds",
        type=int,
        default=None,
        help="models trained in each trial; 3, or 1 with hyperband",
    )
    add("--workers", type=int, default=0, help="processes that share the work")
    add("--limit", type=int, default=None, help="use only that many samples")
    add(
        "--data-dir", default=None, help="TensorFlow Datasets folder, for mnist"
    )
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/tune"),
        help="folder for trials, table and picture",
    )
    arguments = parser.parse_args()
    by_epochs = arguments.oracle == "hyperband"
    if by_epochs and arguments.trials is not None:
        parser.error("--trials: hyperband sets their number by --epochs")
    if arguments.seeds is None:
        arguments.seeds = 1 if by_epochs else 3
    return arguments


# ------------------------------------------------------------ the problems
# Each returns training data, test data, arguments of the MappingHyperModel,
# and arguments of fit.


def ring(arguments):
    return (
        kmf.datasets.gaussian_ring(12_800, seed=0),
        kmf.datasets.gaussian_ring(1_000, seed=1),
        {
            "generator_fn": lambda seed: kmf.networks.mlp_generator(
                2, 2, seed=seed
            ),
            "discriminator_fn": lambda seed: kmf.networks.mlp_discriminator(
                2, seed=seed
            ),
            "metrics": [
                kmf.metrics.WassersteinDistance(),
                kmf.metrics.ModeCoverage(kmf.datasets.ring_centers(), std=0.1),
            ],
            "every": 5,
            "space": {
                "mapping": MAPPINGS,
                "shift": [0.0, 5.0],
                "limit": 12.0,
                "penalty": "r1",
                "penalty_weight": 0.1,
                "generator_learning_rate": 5e-4,
                "discriminator_learning_rate": 1e-3,
                "beta_1": 0.5,
            },
        },
        {"batch_size": 256, "epochs": 40},
    )


def far_start(arguments):
    def generator(seed):
        generator = kmf.networks.mlp_generator(2, 2, seed=seed)
        weights = generator.get_weights()
        weights[-1] = weights[-1] + np.array([6.0, 0.0])  # the last bias
        generator.set_weights(weights)
        return generator

    train, test, model, fit = ring(arguments)
    model["generator_fn"] = generator
    model["metrics"] = kmf.metrics.WassersteinDistance()
    model["space"].update(
        mapping=["identity", "non_saturating", "arcsinh", "mle", "vanilla"],
        shift=[0.0, 1.0, 3.0, 5.0],
        penalty="none",
        generator_optimizer=lambda hp: keras.optimizers.SGD(0.05),
        discriminator_optimizer=lambda hp: keras.optimizers.Adam(
            1e-3, beta_1=0.5
        ),
        discriminator_warmup=300,
    )
    # 300 rounds of the discriminator alone, and 700 more.
    return train, test, model, {**fit, "epochs": 20}


def digits(arguments):
    images = load_digits().images[..., None].astype("float32") / 8.0 - 1.0
    images = np.random.default_rng(0).permutation(images)
    shape = {"image_shape": (8, 8, 1), "filters": 32, "stages": 2}
    return (
        images[:1400],
        images[1400:],
        {
            "generator_fn": lambda seed: kmf.networks.dcgan_generator(
                latent_dim=16, seed=seed, **shape
            ),
            "discriminator_fn": lambda seed: kmf.networks.dcgan_discriminator(
                seed=seed, **shape
            ),
            "metrics": kmf.metrics.FrechetDistance(),
            "every": 20,
            "space": {
                # Half an hour for two workers of one thread each.
                "mapping": [
                    "identity",
                    "non_saturating",
                    "arcsinh",
                    "mle",
                    "least_squares",
                    "vanilla",
                ],
                **OF_THE_AUTHORS,
                "discriminator_steps": [1, 5],
            },
        },
        {"batch_size": 64, "epochs": 120},
    )


def mnist(arguments):
    def load(split):
        return kmf.datasets.load_images(
            "mnist", split=split, data_dir=arguments.data_dir, with_labels=True
        )

    (train, labels), (test, _) = load("train"), load("test")
    classifier = train_classifier(train, labels)
    features = keras.Model(classifier.input, classifier.layers[-2].output)
    return (
        train,
        test,
        {
            "generator_fn": lambda seed: kmf.networks.dcgan_generator(
                seed=seed
            ),
            "discriminator_fn": lambda seed: kmf.networks.dcgan_discriminator(
                batch_norm=True, seed=seed
            ),
            "metrics": kmf.metrics.FrechetDistance(features),
            "samples": 5_000,
            "space": {
                "mapping": MAPPINGS,
                **OF_THE_AUTHORS,
            },
        },
        {"batch_size": 128, "epochs": 5},
    )


PROBLEMS = {f.__name__: f for f in (ring, far_start, digits, mnist)}

#: What a grid leaves at one value.
FIXED = {"discriminator_loss": "logistic", "persistency": 1, "ema": 0.0}


def make_tuner(arguments, model, epochs):
    if arguments.oracle == "grid":
        model["space"] = {"discriminator_steps": 1, **FIXED, **model["space"]}
    else:
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            model["space"].pop(name, None)
    if arguments.oracle == "hyperband":
        model["every"] = 1  # Its first trials have one epoch or two.
    hypermodel = kmf.tuning.MappingHyperModel(
        **model, seeds=range(arguments.seeds)
    )
    shared = {
        "objective": hypermodel.objective,
        "directory": arguments.output,
        "project_name": f"{arguments.data}_{arguments.oracle}",
        # Some mappings diverge on some problems: that is a result.
        "max_consecutive_failed_trials": 1000,
        "seed": 0,
    }
    if arguments.oracle == "hyperband":
        return keras_tuner.Hyperband(hypermodel, max_epochs=epochs, **shared)
    tuner, trials = {
        "grid": (kmf.tuning.GridSearch, None),
        "random": (keras_tuner.RandomSearch, 20),
        "bayesian": (keras_tuner.BayesianOptimization, 20),
    }[arguments.oracle]
    trials = arguments.trials or trials
    return tuner(hypermodel, max_trials=trials, **shared)


def report(arguments, tuner):
    table = kmf.tuning.results_table(tuner)
    by = ("mapping", "shift")
    if arguments.data == "digits" and arguments.oracle == "grid":
        by = (*by, "discriminator_steps")
    by = tuple(name for name in by if name in table.columns)
    print(f"\n{arguments.data}, {arguments.oracle}, {keras.backend.backend()}")
    print(f"\n{table}\n")
    if not any(row["status"] == "COMPLETED" for row in table):
        sys.exit("No trial was completed: the output above says why.")
    print(kmf.tuning.verdict(table, by=by))
    name = f"{arguments.data}_{arguments.oracle}"
    table.to_csv(arguments.output / f"{name}.csv")
    picture = arguments.output / f"{name}.png"
    kmf.tuning.plot_results(tuner, by=by).savefig(picture)
    print(f"\nAll columns: {picture.with_suffix('.csv')}; picture: {picture}")


def main():
    arguments = parse_arguments()
    in_parallel = "KERASTUNER_TUNER_ID" in os.environ
    if arguments.workers and not in_parallel:
        # Runs this script as a chief and its workers, and then goes on to read
        # the results.
        kmf.tuning.run_workers([sys.executable, *sys.argv], arguments.workers)
    keras.utils.set_random_seed(0)
    train, test, model, fit = PROBLEMS[arguments.data](arguments)
    fit["epochs"] = arguments.epochs or fit["epochs"]
    tuner = make_tuner(arguments, model, fit["epochs"])
    if in_parallel or not arguments.workers:
        tuner.search(
            train[: arguments.limit],
            validation_data=test,
            **fit,
        )
    if not in_parallel:
        report(arguments, tuner)


if __name__ == "__main__":
    main()
