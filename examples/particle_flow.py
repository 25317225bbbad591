"""Particles that follow the flows of several mappings to eight Gaussians.

No generator: 500 particles start at the center of the ring and move along
grad h(u) themselves, all runs with equal discriminators, data and step size.
It prints what each flow finds, and draws all of them in one animation. About
two minutes.

    python examples/particle_flow.py
    python examples/particle_flow.py --start-std 1 --only mle "mle, no limit"
"""

import argparse
import csv
import math
import pathlib

import keras
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure

import keras_monoflow as kmf

RUNS = {
    "identity": kmf.mappings.Identity(),
    "non_saturating": kmf.mappings.NonSaturating(),
    "arcsinh": kmf.mappings.Arcsinh(),
    "vanilla, C=5": kmf.mappings.Vanilla(shift=5.0),
    "vanilla, C=0": kmf.mappings.Vanilla(),
    "mle, limit 2": kmf.mappings.Alpha(alpha=1.0, limit=2.0),
    "mle": kmf.mappings.Alpha(alpha=1.0),
    # exp(50) is as good as no limit.
    "mle, no limit": kmf.mappings.Alpha(alpha=1.0, limit=50.0),
    "wasserstein": None,
}
BATCH, FRAMES = 256, 40


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--only",
        nargs="*",
        choices=RUNS,
        default=list(RUNS),
        metavar="RUN",
        help="which of them to run",
    )
    add("--rounds", type=int, default=800, help="steps of the particles")
    add("--step-size", type=float, default=0.05, help="of every flow")
    add("--start-std", type=float, default=0.1, help="of the first positions")
    add("--particles", type=int, default=500, help="how many")
    add("--seeds", type=int, default=1, help="runs of each kind")
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/particle_flow"),
        help="folder for the animation and values",
    )
    return parser.parse_args()


def move(run, seed, arguments):
    """Returns the flow after all rounds."""
    keras.utils.set_random_seed(seed)  # of the order of the data
    mapping = RUNS[run]
    rng = np.random.default_rng(seed)
    start = arguments.start_std * rng.normal(size=(arguments.particles, 2))
    flow = kmf.ParticleFlow(
        kmf.networks.mlp_discriminator(2, seed=seed), start, seed=seed
    )
    flow.compile(
        discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        mapping=mapping,
        discriminator_loss="logistic" if mapping else "wasserstein",
        discriminator_steps=5,
        step_size=arguments.step_size,
    )
    data = kmf.datasets.gaussian_ring(BATCH * arguments.rounds, seed=seed)
    every = max(1, arguments.rounds // FRAMES)
    flow.fit(data, batch_size=BATCH, record_every=every, verbose=0)
    return flow


def judge(particles, seed):
    """Returns modes found, share at a mode, exact W1, farthest particle."""
    finite = particles[np.isfinite(particles).all(axis=1)]
    farthest = np.inf
    if len(finite) == len(particles):
        farthest = np.linalg.norm(particles, axis=1).max()
    coverage = kmf.metrics.ModeCoverage(kmf.datasets.ring_centers(), std=0.1)
    found = coverage.details(None, finite) if len(finite) else {}
    share = found.get("high_quality", 0.0) * len(finite) / len(particles)
    w1 = np.inf
    if farthest < 1e6:
        test = kmf.datasets.gaussian_ring(len(particles), seed=10_000 + seed)
        w1 = kmf.metrics.WassersteinDistance()(test, particles)
    return found.get("modes", 0), share, w1, farthest


def report(results, arguments):
    """Prints the mean over seeds for each run."""
    print(
        f"\n{arguments.rounds} rounds, step size {arguments.step_size}, start "
        f"std {arguments.start_std}, {arguments.particles} particles, "
        f"{arguments.seeds} seeds, {keras.backend.backend()}\n"
    )
    head = ("modes", "at a mode", "W1", "farthest")
    print(f"{'run':<16}" + "".join(f"{name:>12}" for name in head))
    for run in arguments.only:
        values = np.mean([r[2:] for r in results if r[0] == run], axis=0)
        modes, share, w1, farthest = values
        print(
            f"{run:<16}{modes:>12.1f}{share:>12.1%}{w1:>12.3f}{farthest:>12.3g}"
        )


def animate(flows, path):
    """Draws the recorded positions of all flows side by side, as a GIF."""
    columns = min(len(flows), 3)
    rows = math.ceil(len(flows) / columns)
    figure = Figure(
        figsize=(2.4 * columns, 2.55 * rows), dpi=80, layout="constrained"
    )
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    data = kmf.datasets.gaussian_ring(400, seed=1)
    dots = []
    for panel, (run, flow) in zip(axes, flows.items()):
        panel.plot(*data.T, ".", color="0.8", markersize=2)
        dots += panel.plot(*flow.trajectory[0].T, ".", markersize=2)
        panel.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[])
        panel.set_title(run, fontsize=9)
        panel.set_aspect("equal")
        panel.set_xlabel("0 outside", fontsize=8)
    for panel in axes[len(flows) :]:
        panel.set_axis_off()
    title = figure.suptitle("Round 0", fontsize=10)
    # Laid out once, with all its notes, so that the panels stand still.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    rounds = next(iter(flows.values())).trajectory_rounds

    def draw(frame):
        for line, flow in zip(dots, flows.values()):
            points = flow.trajectory[frame]
            line.set_data(*points.T)
            outside = len(points) - (abs(points) < 3).all(axis=1).sum()
            note = f"{outside} outside" if outside else ""
            line.axes.set_xlabel(note)
        title.set_text(f"Round {rounds[frame]}")
        return dots

    # The last frame stays for a second.
    frames = [*range(len(rounds)), *[len(rounds) - 1] * 10]
    FuncAnimation(figure, draw, frames).save(path, PillowWriter(fps=10))


def main():
    arguments = parse_arguments()
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    total = arguments.seeds * len(arguments.only)
    bar = keras.utils.Progbar(total, unit_name="run")
    results, flows = [], {}
    for seed in range(arguments.seeds):
        for run in arguments.only:
            flow = move(run, seed, arguments)
            results.append((run, seed, *judge(flow.particles, seed)))
            flows.setdefault(run, flow)
            bar.add(1)
    with open(output / "particle_flow.csv", "w", newline="") as file:
        writer = csv.writer(file)
        head = ["run", "seed", "modes", "share_at_a_mode", "w1", "farthest"]
        writer.writerows([head, *results])
    report(results, arguments)
    animate(flows, output / "particle_flow.gif")
    print(f"\nThe animation of seed 0: {output}/particle_flow.gif")


if __name__ == "__main__":
    main()
