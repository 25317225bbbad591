"""How many of the thousand modes of Stacked MNIST does a GAN reach?

Three digits are the channels of one image. A small DCGAN learns them with the
logistic loss, with packs of two (PacGAN), and with R3GAN's pairing loss, the
first two without penalties and with R1 + R2. After every 2000 rounds a
classifier of digits reads 26000 generated images: of the thousand combinations,
the number that it finds (`modes`), and the divergence `KL` of their shares from
equal ones, as in the tables of arXiv 1712.04086 and 2501.05441. The 128000
images, the optimizer, the batch of 64 (packs) and the latent points are those
of DCGAN there; the networks are much smaller.

A long experiment, a quarter to half an hour a run on one core: `--output` keeps
what was done, a run that was stopped goes on, and `--table` only prints.

    cd examples/experiments
    python stacked_mnist.py --seeds 2
    python stacked_mnist.py --only "pack=2" --rounds 100000 --filters 64
"""

import argparse
import functools
import json
import pathlib
import sys

import keras
import numpy as np
from sample_flows import of_kind, read, results_of

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import mnist

PENALTIES = [kmf.penalties.R1(1.0), kmf.penalties.R2(1.0)]
#: Packs, and arguments of `compile`, by what the table calls them.
RUNS = {
    "logistic": (1, {}),
    "logistic, R1 + R2": (1, {"penalty": PENALTIES}),
    "pack=2": (2, {}),
    "pack=2, R1 + R2": (2, {"penalty": PENALTIES}),
    "relativistic, R1 + R2": (
        1,
        {
            "mapping": "relativistic",
            "discriminator_loss": "relativistic",
            "penalty": PENALTIES,
        },
    ),
}
#: A batch, in packs, and the rounds from one look to the next.
GROUPS, EVERY = 64, 2000


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--only", nargs="*", choices=RUNS, default=list(RUNS), metavar="RUN")
    add("--seeds", type=int, default=2, help="runs of each kind")
    add("--rounds", type=int, default=10_000, help="a multiple of 2000")
    add("--filters", type=int, default=24, help="of both networks")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/stacked_mnist")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    add("--table", action="store_true", help="print what there is, and end")
    return parser.parse_args()


def make_gan(run, filters, seed):
    pack, arguments = RUNS[run]
    options = {"blocks": "depth_to_space", "filters": filters, "seed": seed}
    generator = kmf.networks.dcgan_generator(
        latent_dim=100, image_shape=(28, 28, 3), **options
    )
    # Batch norm as in DCGAN, unless gradients of single groups are penalized.
    discriminator = kmf.networks.dcgan_discriminator(
        image_shape=(28, 28, 3 * pack),
        batch_norm="penalty" not in arguments,
        **options,
    )
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=seed, pack=pack)
    decays = (0.0, 0.99) if run.startswith("relativistic") else (0.5, 0.999)
    gan.compile(
        keras.optimizers.Adam(2e-4, *decays),
        keras.optimizers.Adam(2e-4, *decays),
        **arguments,
    )
    return gan


def reader_of_stacks(digits):
    """A classifier of three channels, by one of single digits."""

    def read_stacks(images):
        channels = np.moveaxis(np.asarray(images), -1, 1).reshape(-1, 28, 28, 1)
        shares = digits.predict(channels, batch_size=500, verbose=0)
        first, second, third = shares.reshape(-1, 3, 10).transpose(1, 0, 2)
        products = np.einsum("ni,nj,nk->nijk", first, second, third)
        return products.reshape(len(products), 1000)

    return read_stacks


class Modes(keras.callbacks.Callback):
    """Writes what is found every 2000 rounds, and draws a grid."""

    def __init__(self, coverage, folder):
        super().__init__()
        self.coverage, self.folder = coverage, folder

    def on_epoch_end(self, epoch, logs=None):
        rounds = (epoch + 1) * self.params["steps"]
        if rounds % EVERY:
            return
        samples = self.model.sample(26_000, seed=0)
        found = self.coverage.details(None, samples)
        row = {"rounds": rounds, "modes": found["classes"]}
        row |= {name: found[name] for name in ("kl", "confidence")}
        with (self.folder / "looks.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(self.folder.name, *row.values(), flush=True)
        grid = kmf.plots.image_grid(samples[:96], columns=16)
        keras.utils.save_img(self.folder / "samples.png", grid)


def make_run(arguments):
    """Returns the function of a choice that trains a model and judges it."""

    @functools.cache  # Only if anything is left to do.
    def material():
        images, labels = kmf.datasets.load_images(
            "mnist", data_dir=arguments.data_dir, with_labels=True
        )
        digits = mnist.train_classifier(images, labels)
        read_stacks = reader_of_stacks(digits)
        coverage = kmf.metrics.ClassCoverage(read_stacks, batch_size=2000)
        stacks = kmf.datasets.stacked_mnist(
            128_000, seed=0, data_dir=arguments.data_dir
        )
        known = coverage.details(None, stacks[:26_000])
        print(f"training images: {known['classes']:.0f}, {known['kl']:.4f}")
        return stacks, coverage

    def run(choice):
        stacks, coverage = material()
        name, seed, filters = (choice[n] for n in ("run", "seed", "filters"))
        keras.utils.set_random_seed(seed)
        gan = make_gan(name, filters, seed)
        data = kmf.datasets.ShuffledDataset(
            stacks,
            batch_size=GROUPS * gan.pack,
            seed=seed,
            drop_remainder=True,
        )
        label = f"{name}_{seed}_{filters}"
        for old, new in ((", ", "_"), (" + ", ""), ("=", "")):
            label = label.replace(old, new)
        folder = arguments.output / label
        folder.mkdir(parents=True, exist_ok=True)
        backup = kmf.callbacks.BackupAndRestore(
            folder / "backup", delete_checkpoint=False
        )
        gan.fit(
            data,
            epochs=choice["rounds"] // len(data),
            callbacks=[Modes(coverage, folder), backup],
            verbose=0,
        )
        # (A longer run may have left some more.)
        looks = read(folder / "looks.jsonl")
        last = [r for r in looks if r["rounds"] <= choice["rounds"]][-1]
        return {**last, **choice}

    return run


def print_table(results):
    print("\n| | images seen | modes | KL | confidence |\n" + "|---" * 5 + "|")
    kinds = dict.fromkeys(
        (r["run"], r["filters"], r["rounds"]) for r in results
    )
    for run, filters, rounds in kinds:
        of = of_kind(results, run=run, filters=filters, rounds=rounds)
        cells = [f"{rounds * GROUPS * RUNS[run][0]:,}"]
        for name, form in (("modes", ".0f"), ("kl", ".2g")):
            cells.append(", ".join(f"{r[name]:{form}}" for r in of))
        cells.append(f"{np.mean([r['confidence'] for r in of]):.2f}")
        print(f"| {run} | " + " | ".join(cells) + " |")


def main():
    arguments = parse_arguments()
    choices = [
        {
            "run": run,
            "seed": seed,
            "filters": arguments.filters,
            "rounds": arguments.rounds,
        }
        for seed in range(arguments.seeds)
        for run in arguments.only
    ]
    print_table(
        results_of(
            [] if arguments.table else choices,
            arguments.output / "results.jsonl",
            make_run(arguments),
        )
    )


if __name__ == "__main__":
    main()
