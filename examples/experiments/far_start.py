"""Which mappings bring a generator home that starts far from the data?

The generator starts at distance 6 from eight Gaussians, and the discriminator
learns to tell them apart for 300 steps. There the log ratio u is far below 0,
so a mapping whose slope vanishes there stands still (MonoFlow, arXiv
2302.01075, section 5.2). The generator learns by plain gradient descent: Adam
would hide the small slopes, as it divides by them. Printed are the rounds until
the mean of the samples is within 3 of the origin; `FlowMonitor` draws what it
sees after the 300 steps and every 100 rounds.

With `--samples` there is no discriminator: the velocity comes from samples, by
a Gaussian kernel (bandwidth .2) and each mapping, and by other velocities.

A long experiment: about half an hour on two cores. `--rounds 500 --seeds 1`
shows the tendency in a few minutes.

    cd examples/experiments
    python far_start.py
    python far_start.py --only "vanilla, C=0" "vanilla, C=5"
    python far_start.py --samples --rounds 300
"""

import argparse
import pathlib

import keras
import numpy as np

import keras_monoflow as kmf

RUNS = {
    "vanilla, C=0": kmf.mappings.Vanilla(),
    "vanilla, C=1": kmf.mappings.Vanilla(shift=1.0),
    "vanilla, C=3": kmf.mappings.Vanilla(shift=3.0),
    "vanilla, C=5": kmf.mappings.Vanilla(shift=5.0),
    "mle": kmf.mappings.Alpha(alpha=1.0),
    "non_saturating": kmf.mappings.NonSaturating(),
    "identity": kmf.mappings.Identity(),
    "arcsinh": kmf.mappings.Arcsinh(),
}
VELOCITIES = {
    **{
        f"gaussian .2, {name}": kmf.velocities.KernelRatio(
            "gaussian", 0.2, name
        )
        for name in sorted(kmf.mappings.NAMED)
    },
    "gaussian .2, vanilla, C=5": kmf.velocities.KernelRatio(
        "gaussian", 0.2, kmf.mappings.Vanilla(shift=5.0)
    ),
    "student .2, mle": kmf.velocities.KernelRatio("student", 0.2, "mle"),
    "student .2, identity": kmf.velocities.KernelRatio("student", 0.2),
    **{n: kmf.velocities.get(n) for n in ("sinkhorn", "energy", "drifting")},
}
BATCH, PRETRAINING, EVERY = 256, 300, 25


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--only",
        nargs="*",
        metavar="RUN",
        help="which of them to run",
    )
    add("--samples", action="store_true", help="without a discriminator")
    add("--rounds", type=int, default=3000, help="at most, after pretraining")
    add("--seeds", type=int, default=3, help="runs of each kind")
    path = pathlib.Path("runs/far_start")
    add("--output", type=pathlib.Path, default=path, help="for the pictures")
    arguments = parser.parse_args()
    runs = VELOCITIES if arguments.samples else RUNS
    unknown = set(arguments.only or []) - set(runs)
    if unknown:
        parser.error(f"--only knows {list(runs)}, not {sorted(unknown)}")
    arguments.only = arguments.only or list(runs)
    return arguments


def make_generator(seed):
    generator = kmf.networks.mlp_generator(2, 2, seed=seed)
    weights = generator.get_weights()
    weights[-1] = weights[-1] + np.array([6.0, 0.0])  # the last bias
    generator.set_weights(weights)
    return generator


def make_flow(run, seed):
    flow = kmf.SampleFlow(make_generator(seed), seed=seed)
    flow.compile(keras.optimizers.SGD(0.05), VELOCITIES[run])
    return flow


def make_gan(run, seed):
    gan = kmf.MonoFlowGAN(
        make_generator(seed),
        kmf.networks.mlp_discriminator(2, seed=seed),
        seed=seed,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.05),
        discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        mapping=RUNS[run],
        discriminator_warmup=PRETRAINING,
    )
    return gan


def rounds_home(run, seed, arguments):
    """Returns the rounds until the samples are near, or `None`."""
    gan = make_gan(run, seed)
    folder = arguments.output / run.replace(", ", "_").replace("=", "")
    callbacks = (
        [kmf.callbacks.FlowMonitor(folder, every=4)] if seed == 0 else []
    )
    done = 0
    while done <= arguments.rounds:
        stretch = EVERY if done else PRETRAINING
        points = kmf.datasets.gaussian_ring(BATCH * stretch, seed=[seed, done])
        epoch = (PRETRAINING + done) // EVERY  # of 25 rounds each
        gan.fit(
            points,
            batch_size=BATCH,
            initial_epoch=epoch - 1,
            epochs=epoch,
            callbacks=callbacks,
            verbose=0,
        )
        mean = gan.sample(1000, seed=1, batch_size=1000).mean(axis=0)
        if done and np.linalg.norm(mean) < 3:
            return done
        done += EVERY
    return None


class StopAtHome(keras.callbacks.Callback):
    """Ends training when the mean of the samples is near."""

    rounds = None

    def on_train_batch_end(self, batch, logs=None):
        samples = self.model.sample(1000, seed=1, batch_size=1000)
        if np.linalg.norm(samples.mean(axis=0)) < 3:
            self.rounds, self.model.stop_training = batch + 1, True


def rounds_home_by_samples(run, seed, arguments):
    """The same for a flow without a discriminator, looking at each round."""
    points = kmf.datasets.gaussian_ring(BATCH * arguments.rounds, seed=seed)
    home = StopAtHome()
    flow = make_flow(run, seed)
    flow.fit(points, batch_size=BATCH, callbacks=[home], verbose=0)
    return home.rounds


def main():
    arguments = parse_arguments()
    count = rounds_home_by_samples if arguments.samples else rounds_home
    results = {run: [] for run in arguments.only}
    bar = keras.utils.Progbar(
        arguments.seeds * len(results), unit_name="training"
    )
    for run, rounds in results.items():
        for seed in range(arguments.seeds):
            keras.utils.set_random_seed(seed)
            rounds.append(count(run, seed, arguments))
            bar.add(1)
    never = f"never in {arguments.rounds}"
    print(f"\nrounds until |E x| < 3, {keras.backend.backend()}\n")
    for run, rounds in results.items():
        cells = "".join(f"{r or never!s:>16}" for r in rounds)
        print(f"{run:<28}{cells}")
    if not arguments.samples:
        print(f"\nWhat FlowMonitor saw with seed 0: {arguments.output}")


if __name__ == "__main__":
    main()
