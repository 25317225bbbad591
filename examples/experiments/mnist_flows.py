"""Digits with a discriminator and from samples alone, at equal seconds.

One and the same DCGAN generator learns MNIST as a GAN and by velocities from
samples, with one fit and five, in the features of a small classifier or
autoencoder. Each is trained for so many seconds of processor time, in which
making the features counts as well. A classifier of another kind, which none of
them has seen, then judges 10000 digits beside the test data: the Fréchet
distance of its features, the mean confidence, the classes drawn.

A long experiment, `--seconds` a run and half a minute to judge it: `--output`
keeps what was done, and `python mnist_flows.py --table` only prints. Grids of
digits are drawn for the first seed.

    cd examples/experiments
    python mnist_flows.py --seconds 240
    python mnist_flows.py --only "GAN" "sinkhorn, K=1" --seeds 1
"""

import argparse
import functools
import pathlib
import sys
import time

import keras
import numpy as np
from sample_flows import of_kind, results_of

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import mnist

#: By how much the learning rates of `mnist.py --recipe monoflow` are
#: multiplied.
GANS = {"GAN": 1, "GAN, rates x5": 5}
FITS = {"persistency": 5, "step_size": 1.0}
FLOWS = {
    "sinkhorn, K=1": {"velocity": "sinkhorn"},
    "sinkhorn, K=5": {"velocity": "sinkhorn", **FITS},
    "drifting, K=1": {"velocity": "drifting"},
    "energy, K=1": {"velocity": "energy"},
    "sinkhorn, K=1, autoencoder": {"velocity": "sinkhorn"},
}


class StopAfter(keras.callbacks.Callback):
    """Ends training after some seconds of processor time."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.rounds = seconds, 0

    def on_train_begin(self, logs=None):
        self.start = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        self.rounds += 1
        if time.process_time() - self.start > self.seconds:
            self.model.stop_training = True


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    names = [*GANS, *FLOWS]
    add("--only", nargs="*", choices=names, default=names, metavar="RUN")
    add("--seeds", type=int, default=3, help="runs of each kind")
    add("--seconds", type=float, default=240, help="of a run")
    add("--filters", type=int, default=24, help="of both networks")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/mnist_flows")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    add("--table", action="store_true", help="print what there is, and end")
    return parser.parse_args()


def networks(arguments, seed):
    options = {
        "blocks": "depth_to_space",
        "filters": arguments.filters,
        "seed": seed,
    }
    generator = kmf.networks.dcgan_generator(latent_dim=100, **options)
    return generator, options


def make_gan(run, arguments, seed):
    """As in `mnist.py --recipe monoflow`, and with an average as the flows
    have."""
    factor = GANS[run]
    generator, options = networks(arguments, seed)
    discriminator = kmf.networks.dcgan_discriminator(batch_norm=True, **options)
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=seed)
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(factor * 1e-4, 0.5),
        discriminator_optimizer=keras.optimizers.Adam(factor * 2e-4, 0.5),
        reuse_generated=True,
        ema=0.99,
    )
    return gan


def make_flow(run, images, labels, arguments, seed):
    generator, _ = networks(arguments, seed)
    encodes = run.endswith("autoencoder")  # Slower to train, by its decoder.
    features = kmf.features.train_features(
        images,
        None if encodes else labels,
        epochs=1 if encodes else 2,
        seed=seed,
        verbose=0,
    )
    flow = kmf.SampleFlow(generator, features=features, seed=seed)
    optimizer = keras.optimizers.Adam(5e-4, 0.5, 0.9)
    flow.compile(optimizer, ema=0.99, **FLOWS[run])
    return flow


def train(run, seed, images, labels, arguments):
    """Returns the trained model, and the rounds that there was time for."""
    keras.utils.set_random_seed(seed)
    start = time.process_time()
    if run in GANS:
        model, batch = make_gan(run, arguments, seed), 128
    else:
        model, batch = make_flow(run, images, labels, arguments, seed), 250
    data = kmf.datasets.ShuffledDataset(
        images, batch_size=batch, seed=seed, drop_remainder=True
    )
    left = arguments.seconds - (time.process_time() - start)
    stop = StopAfter(left)
    model.fit(data, epochs=10**6, callbacks=[stop], verbose=0)
    return model, stop.rounds


def print_table(results):
    runs = list(dict.fromkeys(r["run"] for r in results))
    print("\n| | rounds | Fréchet distance | confidence | classes |")
    print("|---" * 5 + "|")
    for run in runs:
        of = of_kind(results, run=run)
        cells = [f"{np.mean([r['rounds'] for r in of]):.0f}"]
        for name in ("fid", "confidence"):
            values = [r[name] for r in of]
            cells.append(f"{np.mean(values):.3g} ± {np.std(values):.2g}")
        cells.append(f"{np.mean([r['classes'] for r in of]):.1f}")
        print(f"| {run} ({len(of)}) | " + " | ".join(cells) + " |")


def make_run(arguments):
    """Returns the function of a choice that trains a model and judges it."""

    @functools.cache  # Only if anything is left to do.
    def material():
        images, labels, test, classifier = mnist.digits_and_classifier(
            arguments.data_dir
        )
        known = mnist.score(images[:10_000], classifier, test)
        sure = mnist.score(test, classifier, test)["confidence"]
        print(f"training digits: {known['fid']:.3f}, test digits: {sure:.3f}")
        return images, labels, test, classifier

    def run(choice):
        images, labels, test, classifier = material()
        name, seed = choice["run"], choice["seed"]
        model, rounds = train(name, seed, images, labels, arguments)
        samples = model.sample(10_000, seed=0)
        if seed == 0:
            file = name.replace(", ", "_").replace("=", "")
            grid = kmf.plots.image_grid(samples[:96], columns=16)
            keras.utils.save_img(arguments.output / f"{file}.png", grid)
        scores = mnist.score(samples, classifier, test)
        scores["shares"] = np.asarray(scores["shares"]).tolist()
        return {**choice, "rounds": rounds, **scores}

    return run


def main():
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    kind = {"seconds": arguments.seconds, "filters": arguments.filters}
    choices = [
        {"run": run, "seed": seed, **kind}
        for seed in range(arguments.seeds)
        for run in arguments.only
    ]
    results = results_of(
        [] if arguments.table else choices,
        arguments.output / "results.jsonl",
        make_run(arguments),
    )
    print_table(of_kind(results, **kind))


if __name__ == "__main__":
    main()
