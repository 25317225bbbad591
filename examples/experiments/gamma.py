"""Which weight of R1 + R2 suits which resolution and which batch?

A small DCGAN learns MNIST at 8, 16 and 32 pixels, and at 16 with three batch
sizes, with R3GAN's pairing loss and R1 + R2 of weights from .001 to 10000. All
see equally many images. A classifier compares 10000 samples with the test
images of the same resolution, both enlarged to 28 pixels, by the Fréchet
distance of its features.

A long experiment, half a minute to five a run on one core: `--file` keeps what
was done, and a run that was stopped goes on with the next one. `--table` only
prints.

    cd examples/experiments
    python gamma.py --seeds 2
    python gamma.py --sizes 32 --batches 64 --gammas 0.1 1
"""

import argparse
import functools
import pathlib
import sys

import keras
import numpy as np
from sample_flows import of_kind, results_of

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import mnist

GAMMAS = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="*", default=[8, 16, 32], help="pixels")
    add("--batches", type=int, nargs="*", default=[16, 64, 256])
    add("--gammas", type=float, nargs="*", default=GAMMAS)
    add("--images", type=int, default=100_000, help="that a run sees")
    add("--seeds", type=int, default=2, help="runs of each kind")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/gamma.jsonl")
    add("--file", type=pathlib.Path, default=path, help="for the results")
    add("--table", action="store_true", help="print what there is, and end")
    return parser.parse_args()


def train(choice, images):
    size, seed = choice["size"], choice["seed"]
    keras.utils.set_random_seed(seed)
    options = {"blocks": "depth_to_space", "filters": 16, "seed": seed}
    options["image_shape"] = (size, size, 1)
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(latent_dim=64, **options),
        kmf.networks.dcgan_discriminator(**options),
        seed=seed,
    )
    gamma = choice["gamma"]
    gan.compile(
        keras.optimizers.Adam(5e-4, 0.0, 0.99),
        keras.optimizers.Adam(5e-4, 0.0, 0.99),
        mapping="relativistic",
        discriminator_loss="relativistic",
        penalty=[kmf.penalties.R1(gamma), kmf.penalties.R2(gamma)],
        ema_half_life=5000.0,
    )
    batch = choice["batch"]
    rounds = choice["images"] // batch
    rows = np.random.default_rng(seed).integers(
        len(images), size=rounds * batch
    )
    gan.fit(images[rows], batch_size=batch, shuffle=False, verbose=0)
    return gan


def make_run(arguments):
    """Returns the function of a choice that trains a model and judges it."""

    def load(size, split="train", **options):
        return kmf.datasets.load_images(
            "mnist",
            split=split,
            size=size,
            data_dir=arguments.data_dir,
            **options,
        )

    @functools.cache  # Only if anything is left to do.
    def classifier():
        return mnist.train_classifier(*load(28, with_labels=True))

    @functools.cache
    def images(size):
        return load(size), enlarged(load(size, "test"))

    def run(choice):
        train_images, test = images(choice["size"])
        gan = train(choice, train_images)
        samples = enlarged(gan.sample(10_000, seed=0))
        return {
            **choice,
            "fid": mnist.score(samples, classifier(), test)["fid"],
        }

    return run


def enlarged(images):
    resized = keras.ops.image.resize(
        images, (28, 28), data_format="channels_last"
    )
    return keras.ops.convert_to_numpy(resized)


def print_table(results):
    gammas = sorted({r["gamma"] for r in results})
    print("\n| pixels | batch | " + " | ".join(f"{g:g}" for g in gammas) + " |")
    print("|---" * (len(gammas) + 2) + "|")
    for size, batch in sorted({(r["size"], r["batch"]) for r in results}):
        cells = []
        for gamma in gammas:
            of = of_kind(results, size=size, batch=batch, gamma=gamma)
            fids = [r["fid"] for r in of]
            cells.append(f"{np.mean(fids):.3g}" if fids else "-")
        print(f"| {size} | {batch} | " + " | ".join(cells) + " |")


def main():
    arguments = parse_arguments()
    middle = arguments.batches[len(arguments.batches) // 2]
    kinds = [(size, middle) for size in arguments.sizes]
    kinds += [(16, batch) for batch in arguments.batches]
    choices = [
        {
            "size": size,
            "batch": batch,
            "gamma": gamma,
            "images": arguments.images,
            "seed": seed,
        }
        for seed in range(arguments.seeds)
        for size, batch in dict.fromkeys(kinds)
        for gamma in arguments.gammas
    ]
    results = results_of(
        [] if arguments.table else choices,
        arguments.file,
        make_run(arguments),
    )
    print_table(of_kind(results, images=arguments.images))


if __name__ == "__main__":
    main()
