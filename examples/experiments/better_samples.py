"""Better samples of a trained GAN: refined, refined in latent space, or chosen.

A small DCGAN learns MNIST with the logistic loss and R1, without the last 5000
training images. A classifier compares 5000 of its samples with the test images,
by the Fréchet distance of its features: as they are, accepted by the density
ratio (`sample(accept="rejection")`), moved along the flow (`refine`), and their
latent points moved by Langevin steps (`refine(space="latent")`). The ratio is
calibrated on the 5000 images. A grid of each is written.

All this is done twice. The discriminator as training leaves it has followed a
generator that kept changing, and not the averaged one, whose samples these are.
The second time it has learned on alone for two passes over the images, with the
averaged generator as it is, without a penalty, at a rate that falls to 0.

A quarter of an hour a seed on one core. `--output` keeps what was done, and a
run that was stopped goes on; `--table` only prints.

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

SAMPLES = HELD_OUT = 5_000
#: Steps and their size, of samples and of latent points.
REFINED, LATENT = [(10, 0.01), (10, 0.1)], (40, 0.01)


@keras.saving.register_keras_serializable("better_samples")
class Calibrated(kmf.mappings.Mapping):
    """`h(u) = factor u`, the calibrated log ratio but for its offset."""

    def __init__(self, factor):
        self.factor = factor

    def h(self, u):
        return self.factor * u

    def get_config(self):
        return {"factor": self.factor}


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


def batches(images, seed):
    return kmf.datasets.ShuffledDataset(images, batch_size=64, seed=seed)


def train(images, seed, rounds):
    keras.utils.set_random_seed(seed)
    gan = make_gan("none", seed)
    data = batches(images, seed)
    gan.fit(data, epochs=-(-rounds // len(data)), verbose=0)
    return gan


def make_judge(gan, mapping="identity", rounds=1):
    """The averaged generator, which is frozen, with the discriminator."""
    judge = kmf.MonoFlowGAN(gan.averaged_generator, gan.discriminator, seed=0)
    rate = keras.optimizers.schedules.CosineDecay(2e-4, rounds)
    judge.compile(
        generator_optimizer="sgd",  # which never steps
        discriminator_optimizer=keras.optimizers.Adam(rate, 0.5),
        mapping=mapping,
        discriminator_warmup=rounds,
    )
    return judge


def learn_alone(gan, images, epochs=2):
    """Trains the discriminator of a GAN on its averaged generator."""
    data = batches(images, seed=0)
    rounds = epochs * len(data)
    make_judge(gan, rounds=rounds).fit(data, epochs=epochs, verbose=0)


def ways_of(gan, train_images, held_out):
    """Yields a name and `SAMPLES` samples for each way to have them."""
    samples = gan.sample(SAMPLES, seed=0)
    latent = gan.sample_latent(SAMPLES, seed=0)
    yield "as they are", samples
    for after in ("", ", after learning alone"):
        if after:
            learn_alone(gan, train_images)
        found = gan.calibrate(held_out, quantile=0.9)
        print(f"calibrated: slope {found.slope:.2f}, offset {found.offset:.2f}")
        chosen = gan.sample(SAMPLES, seed=0, accept="rejection")
        yield f"accepted by the ratio{after}", chosen
        judge = make_judge(gan, Calibrated(found.slope))
        for steps, size in REFINED:
            refined = judge.refine(samples, steps=steps, step_size=size)
            yield f"refined, {steps} steps of {size:g}{after}", refined
        steps, size = LATENT
        refined = judge.refine(
            latent, steps=steps, step_size=size, seed=0, space="latent"
        )
        yield f"latent points refined{after}", refined


def make_run(arguments):
    """Returns the function of a choice that trains a model and judges it."""

    def run(choice):
        images, _, test, classifier = mnist.digits_and_classifier(
            arguments.data_dir
        )
        seed = choice["seed"]
        train_images, held_out = images[:-HELD_OUT], images[-HELD_OUT:]
        gan = train(train_images, seed, choice["rounds"])
        arguments.output.mkdir(parents=True, exist_ok=True)
        scores = {}
        ways = ways_of(gan, train_images, held_out)
        for i, (name, samples) in enumerate(ways):
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
