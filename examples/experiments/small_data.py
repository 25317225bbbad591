"""A GAN from a thousand digits, with and without augmentation.

A small DCGAN learns the first 1000 images of MNIST with R1, without
augmentation, with `DiffAugment` (translation and cutout) and with
`AdaptiveAugment` of the same changes. Every 500 rounds a classifier that was
trained on the 59000 others compares 10000 samples with the test images, by the
Fréchet distance of its features. Looked at as well is the mean log ratio on the
thousand images and on the test images: the gap is what the discriminator knows
by heart. `--table` prints the distances over time and draws both.

A long experiment, about ten minutes a run on one core: `--output` keeps what
was done, and a run that was stopped goes on.

    cd examples/experiments
    python small_data.py --seeds 2
    python small_data.py --only none ada --images 500
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

CHANGES = kmf.augmentation.DiffAugment("translation,cutout")
AUGMENTS = {
    "none": lambda: None,
    "DiffAugment": lambda: CHANGES,
    "ADA": lambda: kmf.augmentation.AdaptiveAugment(CHANGES, ramp=100_000),
}
BATCH, EVERY = 64, 500


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    names = list(AUGMENTS)
    add("--only", nargs="*", choices=names, default=names, metavar="AUGMENT")
    add("--images", type=int, default=1000, help="to learn from")
    add("--seeds", type=int, default=2, help="runs of each kind")
    add("--rounds", type=int, default=6000, help="a multiple of 500")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/small_data")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    add("--table", action="store_true", help="print and draw what there is")
    return parser.parse_args()


def make_gan(augment, seed):
    options = {"blocks": "depth_to_space", "filters": 24, "seed": seed}
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(latent_dim=100, **options),
        kmf.networks.dcgan_discriminator(**options),
        seed=seed,
    )
    gan.compile(
        keras.optimizers.Adam(5e-4, 0.5),
        keras.optimizers.Adam(5e-4, 0.5),
        penalty=kmf.penalties.R1(0.1),
        ema=0.99,
        augment=AUGMENTS[augment](),
    )
    return gan


class Look(keras.callbacks.Callback):
    """Writes what is found every 500 rounds, and draws a grid."""

    def __init__(self, judge, train, test, folder):
        super().__init__()
        self.judge, self.train, self.test = judge, train, test
        self.folder, self.rounds = folder, 0

    def on_epoch_end(self, epoch, logs=None):
        rounds = (epoch + 1) * self.params["steps"]
        samples = self.model.sample(10_000, seed=0)
        row = {"rounds": rounds, **self.judge(samples)}
        for name, images in (("train", self.train), ("test", self.test)):
            row[name] = float(np.mean(self.model.log_ratio(images)))
        if hasattr(self.model.augment_state, "probability"):
            row["probability"] = float(
                keras.ops.convert_to_numpy(self.model.augment_state.probability)
            )
        with (self.folder / "looks.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        grid = kmf.plots.image_grid(samples[:96], columns=16)
        keras.utils.save_img(self.folder / "samples.png", grid)


def make_run(arguments):
    """Returns the function of a choice that trains a model and judges it."""

    @functools.cache  # Only if anything is left to do.
    def material():
        images, labels = kmf.datasets.load_images(
            "mnist", data_dir=arguments.data_dir, with_labels=True
        )
        few = arguments.images
        test = kmf.datasets.load_images(
            "mnist", split="test", data_dir=arguments.data_dir
        )
        classifier = mnist.train_classifier(images[few:], labels[few:])

        def judge(samples):
            scores = mnist.score(samples, classifier, test)
            return {name: scores[name] for name in ("fid", "confidence")}

        # (Ten times each, for as many rows as a distance is taken of.)
        known = judge(np.repeat(images[:few], 10, axis=0))["fid"]
        print(f"the {few} images themselves: {known:.2f}", flush=True)
        return images[:few], test[:few], judge, known

    def run(choice):
        images, test, judge, known = material()
        seed = choice["seed"]
        folder = arguments.output / f"{choice['augment']}_{len(images)}_{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(seed)
        gan = make_gan(choice["augment"], seed)
        # So many copies of the images that an epoch has 500 rounds.
        rng = np.random.default_rng(seed)
        order = np.concatenate(
            [
                rng.permutation(len(images))
                for _ in range(-(-EVERY * BATCH // len(images)))
            ]
        )
        data = kmf.datasets.ShuffledDataset(
            images[order[: EVERY * BATCH]], batch_size=BATCH, seed=seed
        )
        gan.fit(
            data,
            epochs=choice["rounds"] // EVERY,
            callbacks=[
                Look(judge, images, test, folder),
                kmf.callbacks.BackupAndRestore(
                    folder / "backup", delete_checkpoint=False
                ),
            ],
            verbose=0,
        )
        # (There may be some twice, of a run that was stopped, and some of a
        # longer one.)
        looks = {
            look["rounds"]: look
            for look in read(folder / "looks.jsonl")
            if look["rounds"] <= choice["rounds"]
        }
        return {**choice, "known": known, "looks": list(looks.values())}

    return run


def show(results, output):
    """Prints the distances over time, and draws them with the log ratios."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(r["augment"] for r in results))
    rounds = [look["rounds"] for look in results[0]["looks"]]
    columns = [i for i, n in enumerate(rounds) if n % 2000 == 0]
    print(f"\nthe images themselves: {results[0]['known']:.2f}")
    print("\n| rounds | " + " | ".join(f"{rounds[i]}" for i in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    for name in names:
        of = [r["looks"] for r in results if r["augment"] == name]
        fids = np.array([[look["fid"] for look in looks] for looks in of])
        cells = [
            f"{m:.1f}" + (f" ± {s:.1f}" if len(of) > 1 else "")
            for m, s in zip(fids.mean(0), fids.std(0))
        ]
        cells = [cells[i] for i in columns]
        print(f"| {name} ({len(of)}) | " + " | ".join(cells) + " |")
        (line,) = left.plot(rounds, fids.mean(0), label=name)
        for style, known in (("-", "train"), (":", "test")):
            means = np.mean([[look[known] for look in ls] for ls in of], 0)
            right.plot(rounds, means, style, color=line.get_color())
    left.set(xlabel="rounds", ylabel="Fréchet distance", yscale="log")
    left.set_yticks([4, 6, 10, 20, 40, 80], minor=False)
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("")
    left.legend()
    right.set(xlabel="rounds", ylabel="mean log ratio")
    right.set_title("on the images (—) and on test images (···)")
    figure.tight_layout()
    figure.savefig(output / "small_data.png", dpi=120)
    for r in results:
        if "probability" in r["looks"][-1]:
            values = [f"{look['probability']:.2f}" for look in r["looks"]]
            print(f"{r['augment']}, seed {r['seed']}: {' '.join(values)}")


def main():
    arguments = parse_arguments()
    choices = [
        {
            "augment": augment,
            "images": arguments.images,
            "seed": seed,
            "rounds": arguments.rounds,
        }
        for seed in range(arguments.seeds)
        for augment in arguments.only
    ]
    results = results_of(
        [] if arguments.table else choices,
        arguments.output / "results.jsonl",
        make_run(arguments),
    )
    results = of_kind(results, images=arguments.images, rounds=arguments.rounds)
    if results:
        show(results, arguments.output)


if __name__ == "__main__":
    main()
