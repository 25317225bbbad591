"""Draws the moving picture at the top of the README.

usage: python docs/generate_moving_picture.py

Left, particles follow a flow from the center to eight Gaussians. Right, a
generator learns to follow one. The arrows are the velocity field of the
discriminator, at the same moment. Needs matplotlib; takes a minute or two.
"""

import pathlib

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import keras_monoflow as kmf

PATH = pathlib.Path(__file__).resolve().parent / "images" / "flow.gif"
BATCH, POINTS, EDGE = 256, 500, 2.7
#: Rounds after which a frame is drawn: many at first, when most moves.
PARTICLE_ROUNDS = [*range(0, 60, 4), *range(60, 200, 10), *range(200, 601, 40)]
GENERATOR_ROUNDS = [4 * rounds for rounds in PARTICLE_ROUNDS]
GRID = np.stack(
    np.meshgrid(*2 * [np.linspace(-2.45, 2.45, 15)]), axis=-1
).reshape(-1, 2)


def adam(rate):
    return keras.optimizers.Adam(rate, beta_1=0.5)


def particles():
    """A flow without a generator, from a narrow Gaussian at the center."""
    start = 0.25 * np.random.default_rng(0).normal(size=(POINTS, 2))
    flow = kmf.ParticleFlow(
        kmf.networks.mlp_discriminator(2, seed=0), start, seed=0
    )
    flow.compile(
        discriminator_optimizer=adam(1e-3),
        mapping="non_saturating",
        discriminator_steps=5,
        step_size=0.05,
    )
    return flow


def gan():
    """A generator that learns the same flow."""
    model = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
        seed=0,
    )
    model.compile(
        generator_optimizer=adam(5e-4),
        discriminator_optimizer=adam(1e-3),
        mapping="non_saturating",
        penalty=kmf.penalties.R1(0.1),
    )
    return model


def record(model, rounds):
    """Returns (round, samples, velocity on the grid) after these rounds."""
    frames, done = [], 0
    for target in rounds:
        if target > done:
            data = kmf.datasets.gaussian_ring(
                BATCH * (target - done), seed=target
            )
            model.fit(data, batch_size=BATCH, shuffle=False, verbose=0)
            done = target
        samples = getattr(model, "particles", None)
        if samples is None:
            samples = model.sample(POINTS, seed=0)
        frames.append((done, samples, model.velocity(GRID)))
    return frames


def shortened(velocity):
    """Arrows that a reader can see: long ones are made shorter."""
    length = np.linalg.norm(velocity, axis=-1, keepdims=True)
    return velocity / (length + 0.5 * np.median(length) + 1e-6)


def draw(panels):
    """Returns one frame, an RGB image."""
    figure = Figure(figsize=(8, 4.4), dpi=100)
    figure.subplots_adjust(0.01, 0.06, 0.99, 0.93, wspace=0.02)
    canvas = FigureCanvasAgg(figure)
    data = kmf.datasets.gaussian_ring(800, seed=0)
    for axis, (title, (rounds, samples, field)) in zip(
        figure.subplots(1, 2), panels.items()
    ):
        axis.plot(*data.T, ".", color="#c9ced6", markersize=3)
        axis.quiver(
            *GRID.T,
            *shortened(field).T,
            color="#7aa6d8",
            angles="xy",
            scale_units="xy",
            scale=3.6,
            width=0.004,
        )
        axis.plot(*np.transpose(samples), ".", color="#d1495b", markersize=4)
        axis.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), xticks=[], yticks=[])
        axis.set_aspect("equal")
        axis.set_title(title, fontsize=13)
        axis.set_xlabel(f"round {rounds}", fontsize=11)
        axis.spines[:].set_color("#c9ced6")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def main():
    films = {
        "particles follow the flow": record(particles(), PARTICLE_ROUNDS),
        "a generator learns the flow": record(gan(), GENERATOR_ROUNDS),
    }
    frames = [draw(dict(zip(films, panels))) for panels in zip(*films.values())]
    # One small palette for all frames keeps the file small.
    palette = frames[-1].quantize(32)
    frames = [
        frame.quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    # The last frame stays for a while.
    times = [120] * (len(frames) - 1) + [2500]
    frames[0].save(
        PATH,
        save_all=True,
        append_images=frames[1:],
        duration=times,
        loop=0,
        optimize=True,
    )
    print(f"{PATH}: {PATH.stat().st_size / 1e6:.2f} MB, {len(frames)} frames")


if __name__ == "__main__":
    main()
