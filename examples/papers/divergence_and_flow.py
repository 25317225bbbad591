"""Does a generator go down a divergence, or climb a potential?

python examples/papers/divergence_and_flow.py
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from claims import Claim, head, main, row, save
from keras import layers

import keras_monoflow as kmf

#: The data are N(0, COVARIANCE), the generator starts at N((1, 1), I).
COVARIANCE = np.array([[1.0, 0.8], [0.8, 0.89]])
START = np.array([1.0, 1.0])
#: Functions of u = log r that the generator minimizes, their slopes, and
#: whether -f is increasing.
FUNCTIONS = {
    "-log r": (lambda u: -u, lambda u: -np.ones_like(u), True),
    "r log r": (lambda u: u * np.exp(u), lambda u: (1 + u) * np.exp(u), False),
    "(r - 1)²": (
        lambda u: (np.exp(u) - 1) ** 2,
        lambda u: 2 * (np.exp(u) - 1) * np.exp(u),
        False,
    ),
    "(√r - 1)²": (
        lambda u: (np.exp(u / 2) - 1) ** 2,
        lambda u: (np.exp(u / 2) - 1) * np.exp(u / 2),
        False,
    ),
    "Jensen-Shannon": (
        lambda u: (
            u * np.exp(u) - (1 + np.exp(u)) * (np.logaddexp(0, u) - np.log(2))
        ),
        lambda u: np.exp(u) * (u - np.logaddexp(0, u) + np.log(2)),
        False,
    ),
    "-exp(1.5 u)": (
        lambda u: -np.exp(1.5 * u),
        lambda u: -1.5 * np.exp(1.5 * u),
        True,
    ),
}
KEPT, DROPPED, LEARNED = "kept", "dropped", "discriminator"
#: What the paper says of each, for (kept, dropped, discriminator).
PRINTED = {name: (True, False, False) for name in FUNCTIONS}
PRINTED["-log r"] = (True, True, True)
PRINTED["-exp(1.5 u)"] = (False, True, True)
#: A KL below which the generator has arrived.
ARRIVED = 0.05


def kl(mean, root):
    """KL(q‖p) of the generator m + A z."""
    inverse = np.linalg.inv(COVARIANCE)
    covariance = root @ root.T
    distance = np.trace(inverse @ covariance) + mean @ inverse @ mean - 2
    logs = [np.linalg.slogdet(c)[1] for c in (COVARIANCE, covariance)]
    return (distance + logs[0] - logs[1]) / 2


class Adam:
    """Kingma and Ba's steps, for a mean and a matrix in one array."""

    def __init__(self, rate, size):
        self.rate, self.t = rate, 0
        self.m, self.v = np.zeros(size), np.zeros(size)

    def step(self, gradient):
        self.t += 1
        self.m = 0.5 * self.m + 0.5 * gradient
        self.v = 0.99 * self.v + 0.01 * gradient**2
        m, v = self.m / (1 - 0.5**self.t), self.v / (1 - 0.99**self.t)
        return -self.rate * m / (np.sqrt(v) + 1e-8)


class Discriminator:
    """A quadratic function, in which log r lies, trained by the logistic loss
    of the package."""

    def __init__(self):
        self.network = keras.Sequential([layers.Input((5,)), layers.Dense(1)])
        self.optimizer = keras.optimizers.Adam(0.05, 0.5)
        self.optimizer.build(self.network.trainable_variables)
        self.loss = kmf.losses.get("logistic")

    @staticmethod
    def features(x):
        a, b = x.T
        return np.stack([a, b, a * a, a * b, b * b], axis=1)

    def learn(self, real, fake):
        inputs = [np.float32(self.features(x)) for x in (real, fake)]
        variables = self.network.trainable_variables
        _, grads = kmf.gradients.value_and_grad(
            lambda: self.loss(*map(self.network, inputs)), variables
        )
        kmf.gradients.apply_gradients(self.optimizer, grads, variables)

    def log_ratio(self, x):
        """Its value and its gradient at points."""
        kernel, bias = self.network.get_weights()
        w = kernel[:, 0]
        a, b = x.T
        value = self.features(x) @ w + bias
        slope = [
            w[0] + 2 * w[2] * a + w[3] * b,
            w[1] + w[3] * a + 2 * w[4] * b,
        ]
        return value, np.stack(slope, axis=1)


def true_log_ratio(x, mean, root):
    """The same in closed form."""
    inverse, own = np.linalg.inv(COVARIANCE), np.linalg.inv(root @ root.T)
    centered = x - mean
    far = [
        np.einsum("ni,ij,nj->n", y, i, y)
        for y, i in ((x, inverse), (centered, own))
    ]
    logs = [np.linalg.slogdet(c)[1] for c in (COVARIANCE, root @ root.T)]
    value = (far[1] - far[0] + logs[1] - logs[0]) / 2
    return value, centered @ own - x @ inverse


def run(choice):
    """Trains with f(u): its gradient with respect to (m, A) over a batch."""
    _, slope_of, _ = FUNCTIONS[choice["function"]]
    rng = np.random.default_rng(choice["seed"])
    keras.utils.set_random_seed(choice["seed"])
    mean, root = START.copy(), np.eye(2)
    data_root = np.linalg.cholesky(COVARIANCE)
    adam, judge = Adam(0.01, 6), Discriminator()
    curve, batch = [kl(mean, root)], 1024
    for _ in range(choice["steps"]):
        z = rng.normal(size=(batch, 2))
        x = mean + z @ root.T
        if choice["ratio"] == LEARNED:
            for _ in range(10):
                judge.learn(rng.normal(size=(batch, 2)) @ data_root.T, x)
            u, along = judge.log_ratio(x)
        else:
            u, along = true_log_ratio(x, mean, root)
        outer = np.clip(slope_of(u), -1e3, 1e3)[:, None]
        if choice["ratio"] == KEPT:
            # u = log p(m + A z) + |z|²/2 + log det A, as a function of both.
            along = -x @ np.linalg.inv(COVARIANCE)
        of_mean = np.mean(outer * along, axis=0)
        of_root = np.einsum("ni,nj->ij", outer * along, z) / batch
        if choice["ratio"] == KEPT:
            of_root = of_root + np.mean(outer) * np.linalg.inv(root).T
        step = adam.step(np.concatenate([of_mean, of_root.ravel()]))
        mean, root = mean + step[:2], root + step[2:].reshape(2, 2)
        value = kl(mean, root)
        curve.append(min(value, 1e3) if np.isfinite(value) else 1e3)
        if curve[-1] >= 1e3:
            break
    return {
        "final": float(np.mean(curve[-100:])),
        "mean": mean.tolist(),
        "covariance": (root @ root.T).tolist(),
        "curve": curve[:: max(1, len(curve) // 100)],
    }


def choices(quick):
    names = ["-log r", "-exp(1.5 u)"] if quick else list(FUNCTIONS)
    return [
        {
            "function": f,
            "ratio": ratio,
            "steps": 50 if quick else 2000,
            "seed": 0,
        }
        for f in names
        for ratio in (KEPT, DROPPED, LEARNED)
    ]


def final_of(results, function, ratio):
    for r in results:
        if (r["function"], r["ratio"]) == (function, ratio):
            return r["final"]
    return float("nan")


def table(results):
    lines = head(
        "minimized", "dependence kept", "dropped", "discriminator", "the paper"
    )
    for name in dict.fromkeys(r["function"] for r in results):
        cells = [
            final_of(results, name, ratio) for ratio in (KEPT, DROPPED, LEARNED)
        ]
        shown = [f"{c:.3g} {'yes' if c < ARRIVED else 'no'}" for c in cells]
        printed = ", ".join("yes" if p else "no" for p in PRINTED[name])
        lines.append(row(name, *shown, printed))
    return lines


def verdict(results):
    pairs = [
        (r["final"] < ARRIVED)
        == PRINTED[r["function"]][(KEPT, DROPPED, LEARNED).index(r["ratio"])]
        for r in results
    ]
    agree = sum(pairs)
    what = "reproduced" if agree == len(pairs) else "not reproduced"
    return what, f"{agree} of {len(pairs)} trainings end as the paper says"


def draw(results, path):
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True)
    for axis, ratio in zip(axes, (KEPT, DROPPED, LEARNED)):
        for r in results:
            if r["ratio"] == ratio:
                steps = np.linspace(0, r["steps"], len(r["curve"]))
                axis.plot(steps, r["curve"], label=r["function"])
        axis.axhline(ARRIVED, color="gray", lw=0.8, ls=":")
        axis.set(title=ratio, xlabel="steps", yscale="log")
    axes[0].set(ylabel="KL(q‖p)", ylim=(1e-4, 1e3))
    axes[1].legend(fontsize=8, loc="center right")
    save(figure, path)


CLAIM = Claim(
    name="divergence_and_flow",
    title="Adversarial training is a flow, not a minimization",
    source="MonoFlow, arXiv 2302.01075, section 4.3",
    claim="If the ratio depends on the generator, minimizing E f(r) leads to "
    "the data for every f-divergence. If it does not, as in a GAN, only -h(u) "
    "with an increasing h does, whether or not it is a divergence.",
    setup="A Gaussian generator and Gaussian data in the plane, 2000 steps of "
    "Adam; the ratio in closed form, with and without its gradient, and from a "
    "quadratic discriminator with ten logistic steps. KL(q‖p) at the end, and "
    f"whether it is below {ARRIVED}.",
    advice="Do not put a divergence where the generator's loss goes: pass an "
    "increasing mapping. `compile` refuses others.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
