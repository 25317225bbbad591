"""Better samples of a trained GAN: refined, refined in latent space, or chosen.

A small DCGAN learns MNIST with the logistic loss and R1, without the last 5000
training images. A classifier compares 10000 of its samples with the test
images, by the Fréchet distance of its features: as they are, moved along the
flow (`refine`), their latent points moved by Langevin steps (`refine(space=
"latent")`), and accepted by the density ratio as it is calibrated on the 5000
(`sample(accept="rejection")`). A grid of each is written.

A few minutes a seed on one core. `--output` keeps what was done, and a run that
was stopped goes on; `--table` only prints.

    cd examples/experiments
    python better_samples.py --seeds 3
    python better_samples.py --rounds 10000 --output runs/better_samples_long
"""

import argparse
import pathlib
import sys

import keras
import numpy as np
from sample_flows import of_kind, results_of
from small_data import make_gan

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import mnist

SAMPLES, HELD_OUT = 10_000, 5_000
#: Steps and step sizes of both kinds of refinement.
REFINED = [(10, 0.1), (10, 1.0), (10, 10.0)]
LATENT = [(10, 0.01), (40, 0.01), (40, 0.05)]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="trained GANs")
    add("--rounds", type=int, default=3000, help="of training")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/better_samples")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    add("--table", action="store_true", help="print what there is, and end")
    return parser.parse_args()


def train(images, seed, rounds):
    keras.utils.set_random_seed(seed)
    gan = make_gan("none", seed)
    data = kmf.datasets.ShuffledDataset(images, batch_size=64, seed=seed)
    gan.fit(data, epochs=-(-rounds // len(data)), verbose=0)
    return gan


def ways_of(gan, held_out):
    """Yields a name and `SAMPLES` samples for each way to have them."""
    yield "as they are", gan.sample(SAMPLES, seed=0)
    found = gan.calibrate(held_out)
    print(f"calibrated: slope {found.slope:.2f}, offset {found.offset:.2f}")
    chosen = gan.sample(SAMPLES, seed=0, accept="rejection")
    yield "accepted by the ratio", chosen
    samples = gan.sample(SAMPLES, seed=0)
    for steps, size in REFINED:
        name = f"refined, {steps} steps of {size:g}"
        yield name, gan.refine(samples, steps=steps, step_size=size)
    latent = gan.sample_latent(SAMPLES, seed=0)
    for steps, size in LATENT:
        yield (
            f"latent points refined, {steps} steps of {size:g}",
            gan.refine(
                latent, steps=steps, step_size=size, seed=0, space="latent"
            ),
        )


def make_run(arguments):
    """Returns the function of a choice that trains a model and judges it."""

    def run(choice):
        images, _, test, classifier = mnist.digits_and_classifier(
            arguments.data_dir
        )
        seed = choice["seed"]
        gan = train(images[:-HELD_OUT], seed, choice["rounds"])
        arguments.output.mkdir(parents=True, exist_ok=True)
        scores = {}
        for i, (name, samples) in enumerate(ways_of(gan, images[-HELD_OUT:])):
            found = mnist.score(samples, classifier, test)
            scores[name] = [found["fid"], found["confidence"]]
            print(seed, name, *scores[name], flush=True)
            grid = kmf.plots.image_grid(samples[:64], columns=16)
            path = arguments.output / f"seed_{seed}_{i}.png"
            keras.utils.save_img(path, grid)
        return {**choice, "scores": scores}

    return run


def print_table(results):
    print("\n| | Fréchet distance | confidence |\n|---|---|---|")
    for name in results[0]["scores"]:
        values = np.array([r["scores"][name] for r in results])
        distances = ", ".join(f"{v:.2f}" for v in values[:, 0])
        print(f"| {name} | {distances} | {values[:, 1].mean():.3f} |")


def main():
    arguments = parse_arguments()
    choices = [
        {"seed": seed, "rounds": arguments.rounds}
        for seed in range(arguments.seeds)
    ]
    results = results_of(
        [] if arguments.table else choices,
        arguments.output / "results.jsonl",
        make_run(arguments),
    )
    results = of_kind(results, rounds=arguments.rounds)
    if results:
        print_table(results)


if __name__ == "__main__":
    main()
