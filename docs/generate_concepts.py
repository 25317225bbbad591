"""Draws the pictures of `concepts.md`: a potential, its velocity, and K fits.

python docs/generate_concepts.py
"""

import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_monoflow as kmf

IMAGES = pathlib.Path(__file__).resolve().parent / "images" / "concepts"
STEP = 0.4


def make_gan(persistency):
    """A GAN on the ring."""
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
        seed=0,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, 0.5),
        discriminator_optimizer=keras.optimizers.Adam(1e-3, 0.5),
        mapping="identity",
        penalty=kmf.penalties.R1(0.1),
        persistency=persistency,
        step_size=STEP,
        normalize_velocity=persistency > 1,
    )
    return gan


def square(axis, title):
    axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", title=title)
    axis.set_xticks([])
    axis.set_yticks([])


def draw_flow(gan, data):
    """The log ratio as a landscape, and samples that climb it."""
    side = np.linspace(-3, 3, 101)
    places = np.stack(np.meshgrid(side, side), axis=-1).astype("float32")
    u = gan.log_ratio(places.reshape(-1, 2)).reshape(101, 101)
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
    shown = axes[0].contourf(side, side, u, 15, cmap="RdBu_r")
    figure.colorbar(shown, ax=axes[0], shrink=0.75)
    axes[0].plot(*data[:300].T, ".", ms=2, color="black")
    square(axes[0], "u = log p/q, learned")
    samples = gan.sample(300, seed=0)
    some = samples[:80]
    moves = gan.velocity(some)
    axes[1].plot(*data[:300].T, ".", ms=2, color="0.75")
    axes[1].plot(*some.T, ".", ms=4, color="tab:red")
    axes[1].quiver(*some.T, *moves.T, width=0.005, angles="xy")
    square(axes[1], "velocity ∇h(u) at samples")
    refined = gan.refine(samples, steps=40, step_size=0.05)
    axes[2].plot(*data[:300].T, ".", ms=2, color="0.75")
    axes[2].plot(*refined.T, ".", ms=3, color="tab:red")
    square(axes[2], "samples after 40 steps")
    figure.savefig(IMAGES / "flow.png", dpi=120)


def draw_fits(data):
    """How far a generator gets to the moved samples with K fits."""
    gan = make_gan(5)
    gan.fit(data, batch_size=128, epochs=1, verbose=0)
    latent = gan.sample_latent(128, seed=1)
    before = gan.predict(latent, verbose=0)
    moves = gan.velocity(before)
    targets = before + STEP * moves / np.linalg.norm(moves, axis=1).mean()
    generator, fits = gan.generator, [0, 1, 5, 20]
    generator.compile(keras.optimizers.Adam(1e-3, 0.5), "mse")
    figure, axes = plt.subplots(2, 2, figsize=(8, 5), layout="constrained")
    axes = axes.ravel()
    both = np.concatenate([before, targets])
    limits = np.stack([both.min(axis=0) - 0.2, both.max(axis=0) + 0.2])
    done = 0
    for axis, count in zip(axes, fits):
        for _ in range(count - done):
            generator.train_on_batch(latent, targets)
        done = count
        now = generator.predict(latent, verbose=0)
        axis.plot(*targets.T, "x", ms=3, color="tab:blue", label="moved")
        axis.plot(*now.T, ".", ms=4, color="tab:red", label="generated")
        gap = np.linalg.norm(targets - now, axis=1).mean()
        fits_text = f"{count} fit" + "s" * (count != 1)
        square(axis, f"{fits_text}: {gap:.2f} from the moved samples")
        axis.set(xlim=limits[:, 0], ylim=limits[:, 1])
    axes[0].legend()
    figure.savefig(IMAGES / "fits.png", dpi=120)


def main():
    keras.utils.set_random_seed(0)
    IMAGES.mkdir(parents=True, exist_ok=True)
    data = kmf.datasets.gaussian_ring(12_800, seed=0)
    gan = make_gan(1)
    gan.fit(data, batch_size=128, epochs=4, verbose=0)
    draw_flow(gan, data)
    draw_fits(data)


if __name__ == "__main__":
    main()
