"""How well a critic's gradient matches the true velocity of the W1 flow.

    python tests/benchmarks/velocity_quality.py
    python tests/benchmarks/velocity_quality.py --only "LP 10" --steps 20000

The answer is known by construction. Cones that open upwards from random apexes
`c_i`, started at random heights `b_i`, have the lower envelope
`phi(y) = min_i (|y - c_i| + b_i)`. Generated samples are `y ~ N(0, I)`. A data
point `x` is another such draw `y'`, moved towards the apex of its cone by a
random share, uniform on (0, 1), of its distance to that apex.

`phi` is a Kantorovich potential: it is 1-Lipschitz and falls by `|y' - x|` on
the way from `y'` to `x`, so `W1 >= E phi(y') - E phi(x) = E|y' - x| >= W1`.
Every potential falls so on these rays, and all of them move, so the velocity
`-grad phi(y)`, of length 1, is the same for all potentials.

Only the critic is trained, on fresh samples, with `critic_warmup` beyond the
last round. On samples that it has not seen, the table compares its gradient
with the true velocity:

- cosine: mean over the samples, 1 is perfect;
- > 0.9: share of the samples with a cosine above 0.9;
- speed: mean length of the critic's gradient, where the true one is 1;
- spread: standard deviation of that length over the samples, over its mean.

The values are means over random potentials, ± their standard deviation; weights
and samples differ from potential to potential as well. "constant" is no critic:
it is the unit vector from the mean sample to the mean data point.

Before training, every potential is checked: its velocity by finite differences,
and that POT finds no cheaper coupling. All of it takes some nine minutes of one
core with TensorFlow, and needs the extra "metrics".
"""

import argparse
import functools
import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import machine
import numpy as np

import keras_monoflow as kmf

BATCH, HELD_OUT = 256, 4096


class Cones:
    """The potential `min_i (|y - c_i| + b_i)` and data that it moves.

    The apexes are `pairs` of opposite points, so that no constant velocity
    comes near the true one. They have random directions and 1.5 times the
    length of a typical sample. The offsets are uniform on (0, 1).
    """

    def __init__(self, dim, pairs, rng):
        self.rng = rng
        directions = rng.normal(size=(pairs, dim))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        directions = np.concatenate([directions, -directions])
        self.centres = 1.5 * np.sqrt(dim) * directions
        self.offsets = rng.uniform(size=2 * pairs)

    def _from_centres(self, y):
        """Returns `phi(y)`, and for its cone `y - c` and `|y - c|`."""
        distances = [np.linalg.norm(y - c, axis=1) for c in self.centres]
        heights = np.stack(distances) + self.offsets[:, None]
        cone = heights.argmin(0)
        height, offset = heights.min(0), self.offsets[cone]
        return height, y - self.centres[cone], height - offset

    def __call__(self, y):
        return self._from_centres(y)[0]

    def velocity(self, y):
        """Returns `-grad phi(y)`."""
        _, difference, distance = self._from_centres(y)
        return -difference / distance[:, None]

    def samples(self, n):
        return self.rng.normal(size=(n, self.centres.shape[1]))

    def moved(self, y):
        """Returns each sample moved by a random length, and the lengths."""
        length = self.rng.uniform(size=len(y)) * self._from_centres(y)[2]
        return y + length[:, None] * self.velocity(y), length


def check_cones(cones, n=500, h=1e-6):
    """Checks the velocity by finite differences and the coupling by POT."""
    y = cones.samples(n)
    steps = h * np.eye(y.shape[1])
    slopes = [(cones(y + s) - cones(y - s)) / (2 * h) for s in steps]
    np.testing.assert_allclose(
        cones.velocity(y), -np.stack(slopes, 1), atol=1e-6
    )
    x, length = cones.moved(y)
    np.testing.assert_allclose(cones(y) - cones(x), length, atol=1e-9)
    distance = kmf.metrics.WassersteinDistance()
    np.testing.assert_allclose(distance(y, x), length.mean(), rtol=1e-6)


def spectral_dense(layer):
    if not isinstance(layer, keras.layers.Dense):
        return layer.__class__.from_config(layer.get_config())
    dense = keras.layers.Dense.from_config(layer.get_config())
    return keras.layers.SpectralNormalization(dense)


def clipped_dense(layer, limit):
    config = layer.get_config()
    if isinstance(layer, keras.layers.Dense):
        clip = kmf.constraints.ClipWeights(limit)
        config.update(kernel_constraint=clip, bias_constraint=clip)
    return layer.__class__.from_config(config)


def clip(limit):
    return None, functools.partial(clipped_dense, limit=limit)


#: name: (penalty, what each layer of the MLP is replaced by)
CRITICS = {
    "LP 10": (kmf.penalties.LipschitzPenalty(10.0), None),
    "GP 10": (kmf.penalties.GradientPenalty(10.0), None),
    "spectral norm": (None, spectral_dense),
    "clip 0.01": clip(0.01),
    "clip 0.03": clip(0.03),
    "clip 0.1": clip(0.1),
}


def make_model(critic, dim, seed, arguments):
    """A model whose generator is the identity and never trains."""
    penalty, replace = CRITICS[critic]
    network = kmf.networks.mlp_discriminator(dim, arguments.units, seed=seed)
    if replace:
        network = keras.models.clone_model(network, clone_function=replace)
    points = keras.Input((dim,))
    identity = keras.layers.Activation("linear")(points)
    model = kmf.W1FE(keras.Model(points, identity), network, seed=seed)
    model.compile(
        generator_optimizer=keras.optimizers.Adam(),
        critic_optimizer=keras.optimizers.Adam(1e-3, 0.5, 0.9),
        penalty=penalty,
        critic_warmup=max(arguments.steps) + 1,
        steps_per_execution=steps_per_execution(arguments.steps),
    )
    return model


def steps_per_execution(steps):
    """Keras runs one step at a time on PyTorch; elsewhere this saves time."""
    if keras.backend.backend() == "torch":
        return 1
    return math.gcd(50, *steps)


def compare(velocity, truth):
    """Returns mean cosine, share above 0.9, mean speed and its spread."""
    speed = np.linalg.norm(velocity, axis=1)
    cosine = (velocity * truth).sum(1) / np.maximum(speed, 1e-30)
    spread = speed.std() / speed.mean()
    return cosine.mean(), (cosine > 0.9).mean(), speed.mean(), spread


def make_cones(dim, seed, arguments):
    """The same potential, held-out samples and data for every critic."""
    cones = Cones(dim, arguments.pairs, np.random.default_rng([seed, dim]))
    held_out = cones.samples(HELD_OUT)
    return cones, held_out, cones.velocity(held_out)


def constant_velocity(dim, seed, arguments):
    cones, _, truth = make_cones(dim, seed, arguments)
    y = cones.samples(100_000)
    shift = (cones.moved(y)[0] - y).mean(0)
    shift /= np.linalg.norm(shift)
    return compare(np.broadcast_to(shift, truth.shape), truth)


def train(critic, dim, seed, arguments):
    """Yields the comparison after each number of steps."""
    keras.utils.set_random_seed(seed)
    cones, held_out, truth = make_cones(dim, seed, arguments)
    model = make_model(critic, dim, seed, arguments)
    done = 0
    for steps in arguments.steps:
        x, _ = cones.moved(cones.samples(BATCH * (steps - done)))
        x = x.astype("float32")
        model.fit(x, batch_size=BATCH, shuffle=False, verbose=0)
        done = steps
        yield compare(model.velocity(held_out), truth)


def measure(arguments):
    """Returns `{(critic, steps): {dim: comparisons of all seeds}}`."""
    total = len(arguments.only) * len(arguments.dims) * arguments.seeds
    bar = keras.utils.Progbar(total, unit_name="run")
    rows = {}

    def add(critic, steps, dim, comparison):
        row = rows.setdefault((critic, steps), {})
        row.setdefault(dim, []).append(comparison)

    for seed in range(arguments.seeds):
        for dim in arguments.dims:
            check_cones(make_cones(dim, seed, arguments)[0])
            constant = constant_velocity(dim, seed, arguments)
            add("constant", "", dim, constant)
            for critic in arguments.only:
                runs = train(critic, dim, seed, arguments)
                for steps, comparison in zip(arguments.steps, runs):
                    add(critic, steps, dim, comparison)
                bar.add(1)
    return rows


def report(rows, arguments):
    machine.print_description()
    print(
        f"MLP {arguments.units}, batch {BATCH}, {2 * arguments.pairs} cones, "
        f"{arguments.seeds} potentials, {HELD_OUT} held-out samples\n"
    )
    names = f"{'cosine':>15}{'> 0.9':>15}{'speed':>10}{'spread':>8}"
    dims = "".join(f"{f'dim {dim}':>48}" for dim in arguments.dims)
    print(f"{'':<21}{dims}")
    print(f"{'critic':<14}{'steps':>7}{names * len(arguments.dims)}")
    for (critic, steps), row in rows.items():
        cells = "".join(cells_of(row[dim]) for dim in arguments.dims)
        print(f"{critic:<14}{steps:>7}{cells}")


def cells_of(comparisons):
    mean = np.mean(comparisons, axis=0)
    several = len(comparisons) > 1
    sd = np.std(comparisons, axis=0, ddof=1) if several else 0 * mean + np.nan
    directions = "".join(
        f"{f'{m:.3f} ± {s:.3f}':>15}" for m, s in zip(mean[:2], sd)
    )
    return f"{directions}{mean[2]:>10.3g}{mean[3]:>8.2f}"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--dims", type=int, nargs="+", default=[2, 16])
    add("--pairs", type=int, default=2, help="of opposite cones")
    add("--seeds", type=int, default=5, help="random potentials")
    add("--steps", type=int, nargs="+", default=[500, 2000, 5000])
    add("--units", type=int, nargs="+", default=[64, 64, 64])
    add("--only", nargs="+", choices=CRITICS, default=list(CRITICS))
    arguments = parser.parse_args()
    arguments.steps.sort()
    return arguments


def main():
    arguments = parse_arguments()
    report(measure(arguments), arguments)


if __name__ == "__main__":
    main()
