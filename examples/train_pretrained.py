"""Trains the small models that come with the package, and writes their cards.

They go to `keras_monoflow/pretrained`, from where
`kmf.models.load_pretrained(name)` loads them; the cards have the data,
settings, metrics, limits and the commit. A few minutes on one core.

    python examples/train_pretrained.py
    python examples/train_pretrained.py --only ring --output runs/pretrained
"""

import argparse
import hashlib
import json
import pathlib
import sys

import keras
import numpy as np
from sklearn import datasets

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "papers"))
from claims import made_with

SHAPE = (8, 8, 1)


def load_digits():
    """The 8x8 digits of scikit-learn in [-1, 1]: 1297 to train, 500 to test."""
    images = datasets.load_digits().data.astype("float32") / 8.0 - 1.0
    order = np.random.default_rng(0).permutation(len(images))
    images = images[order].reshape(-1, *SHAPE)
    return images[:-500], images[-500:]


def train_on_digits(model, rounds):
    train, _ = load_digits()
    data = kmf.datasets.ShuffledDataset(
        train, batch_size=100, seed=0, drop_remainder=True
    )
    model.fit(data, epochs=round(rounds / len(data)), verbose=2)
    return model


def ring(scale):
    """W1-FE with five fits a round."""
    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
        seed=0,
    )
    rounds = round(4000 * scale)
    rate = kmf.schedules.Cosine(5e-4, 5e-5, duration=5 * rounds)
    model.compile(
        generator_optimizer=keras.optimizers.Adam(rate, 0.5, 0.9),
        critic_optimizer=keras.optimizers.Adam(1e-3, 0.5, 0.9),
        critic_warmup=50,
        persistency=5,
        step_size=0.1,
        ema=0.99,
    )
    points = kmf.datasets.gaussian_ring(256 * rounds, seed=0)
    model.fit(points, batch_size=256, shuffle=False, verbose=2)
    return model


def digits_gan(scale):
    """A small DCGAN with R3GAN's pairs and penalties."""
    options = {"image_shape": SHAPE, "filters": 16, "seed": 0}
    model = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(16, **options),
        kmf.networks.dcgan_discriminator(**options),
        seed=0,
    )
    rounds = round(12_000 * scale)
    rate = kmf.schedules.Cosine(1e-3, 1e-4, duration=rounds)
    model.compile(
        generator_optimizer=keras.optimizers.Adam(rate, 0.5, 0.99),
        discriminator_optimizer=keras.optimizers.Adam(rate, 0.5, 0.99),
        mapping="relativistic",
        discriminator_loss="relativistic",
        penalty=[kmf.penalties.R1(1.0), kmf.penalties.R2(1.0)],
        reuse_generated=True,
        ema=0.998,
    )
    return train_on_digits(model, rounds)


def digits_one_step(scale):
    """Sinkhorn's velocity between batches, five fits a round."""
    model = kmf.SampleFlow(
        kmf.networks.dcgan_generator(
            16, image_shape=SHAPE, filters=16, batch_norm=False, seed=0
        ),
        seed=0,
    )
    rounds = round(6000 * scale)
    rate = kmf.schedules.Cosine(1e-3, 1e-4, duration=5 * rounds)
    model.compile(
        keras.optimizers.Adam(rate, 0.5, 0.9),
        velocity=kmf.velocities.Sinkhorn(0.05),
        persistency=5,
        step_size=0.5,
        normalize_velocity=True,
        ema=0.998,
    )
    return train_on_digits(model, rounds)


def of_points(model):
    """How near 1000 samples are, beside 1000 other points of the data."""
    real, other = (kmf.datasets.gaussian_ring(1000, seed=s) for s in (1, 2))
    samples = model.sample(1000, seed=0)
    distance = kmf.metrics.WassersteinDistance()
    modes = kmf.metrics.ModeCoverage(kmf.datasets.ring_centers(), 0.1)
    found = modes.details(None, samples)
    return {
        "exact W1": distance(real, samples),
        "exact W1, data to data": distance(real, other),
        "modes of 8": found["modes"],
        "share within 3 standard deviations": found["high_quality"],
    }


def of_digits(model):
    """How near 1000 samples are to the test digits, and how far from the
    digits learned from, beside these themselves."""
    train, test = load_digits()
    samples = model.sample(1000, seed=0)
    distance = kmf.metrics.FrechetDistance()

    def nearest(images):
        flat, known = (x.reshape(len(x), -1) for x in (images, train))
        gaps = ((flat[:, None] - known) ** 2).sum(-1)
        return float(np.sqrt(gaps.min(axis=1)).mean())

    return {
        "Fréchet distance of pixels to 500 test digits": distance(
            test, samples
        ),
        "the same of the training digits": distance(test, train),
        "distance to the nearest training digit": nearest(samples),
        "the same of the test digits": nearest(test),
    }


DIGITS = "the first 1297 of the 8x8 digits of scikit-learn, in an order by seed"
#: Functions that train and judge, and what the cards say.
MODELS = {
    "ring": (
        ring,
        of_points,
        {
            "data": "`kmf.datasets.gaussian_ring`: eight Gaussians with "
            "standard deviation 0.1 on a circle of radius 2",
            "limits": "points in the plane; some samples lie between the modes",
        },
    ),
    "digits_gan": (
        digits_gan,
        of_digits,
        {
            "data": DIGITS,
            "limits": "8x8 pixels, from few digits of few writers; some "
            "samples are not digits",
        },
    ),
    "digits_one_step": (
        digits_one_step,
        of_digits,
        {
            "data": DIGITS,
            "limits": "8x8 pixels, from few digits of few writers; some "
            "samples are between two digits",
        },
    ),
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    names = list(MODELS)
    add("--only", nargs="*", choices=names, default=names, metavar="MODEL")
    add("--scale", type=float, default=1.0, help="shorter trainings, to try")
    path = pathlib.Path(kmf.__file__).parent / "pretrained"
    add("--output", type=pathlib.Path, default=path, help="for the files")
    arguments = parser.parse_args()
    if arguments.scale != 1.0 and arguments.output == path:
        parser.error("--scale would replace the models; pass --output too")
    return arguments


def main():
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "cards.json"
    cards = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in arguments.only:
        train, judge, card = MODELS[name]
        keras.utils.set_random_seed(0)
        model = train(arguments.scale)
        file = arguments.output / f"{name}.keras"
        model.save(file)
        metrics = {what: float(value) for what, value in judge(model).items()}
        cards[name] = {
            "model": type(model).__name__,
            "settings": f"{train.__doc__.rstrip('.')}; `{train.__name__}` in "
            "`examples/train_pretrained.py`",
            **card,
            "metrics": metrics,
            "made_with": made_with(),
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        ordered = {n: cards[n] for n in MODELS if n in cards}
        path.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")
        print(f"\n{name}: {file.stat().st_size / 1e6:.2f} MB")
        for what, value in metrics.items():
            print(f"{what:<50}{value:>8.3f}")


if __name__ == "__main__":
    main()
