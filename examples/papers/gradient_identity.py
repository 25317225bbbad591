"""MonoFlow: a generator that minimizes `-E h(u)` goes down an f-divergence.

python examples/papers/gradient_identity.py
"""

import matplotlib.pyplot as plt
import numpy as np
from claims import Claim, head, main, row, save
from keras import ops

import keras_monoflow as kmf

#: The data are a mixture of two Gaussians, the generator is `G(z) = m + s z`.
CENTERS, WIDTHS, SHARES = (-1.0, 1.5), (1.1, 0.5), (0.6, 0.4)
START = (0.3, 1.2)
#: Functions f of r = p/q, written for r = exp(u): D = E_q f.
DIVERGENCES = {
    "identity": ("KL(q‖p)", lambda u: -u),
    "mle": ("KL(p‖q)", lambda u: u * np.exp(u)),
    "pearson": ("Pearson / 2", lambda u: (np.exp(u) - 1) ** 2 / 2),
    "hellinger": ("2 Hellinger²", lambda u: 4 * (1 - np.exp(u / 2))),
    "neyman": ("Neyman / 2", lambda u: (np.exp(-u) - 1) / 2),
    "vanilla": (
        "2 JSD",
        lambda u: u * np.exp(u) - (1 + np.exp(u)) * np.log((1 + np.exp(u)) / 2),
    ),
    "non_saturating": (
        "2 KL((p+q)/2‖p)",
        lambda u: (1 + np.exp(u)) * np.log((1 + np.exp(-u)) / 2),
    ),
    "jeffreys": ("KL(p‖q) + KL(q‖p)", lambda u: (np.exp(u) - 1) * u),
}


def gaussian(x, mean, deviation):
    scaled = (x - mean) / deviation
    return np.exp(-(scaled**2) / 2) / deviation / np.sqrt(2 * np.pi)


def log_data(x):
    parts = zip(SHARES, CENTERS, WIDTHS)
    return np.log(sum(w * gaussian(x, m, s) for w, m, s in parts))


def log_ratio(x, mean, deviation):
    return log_data(x) - np.log(gaussian(x, mean, deviation))


def run(choice):
    """Both gradients with respect to (m, s), by quadrature over z."""
    z = np.linspace(-9, 9, choice["points"])
    weights = gaussian(z, 0, 1) * (z[1] - z[0])
    _, f = DIVERGENCES[choice["mapping"]]

    def divergence(mean, deviation):
        # (As an integral over z, so that a change of the scale is no trouble.)
        return np.sum(
            weights * f(log_ratio(mean + deviation * z, mean, deviation))
        )

    eps, gradient = 1e-5, []
    for i in range(2):
        ends = []
        for sign in (1, -1):
            moved = np.array(START)
            moved[i] += sign * eps
            ends.append(divergence(*moved))
        gradient.append((ends[0] - ends[1]) / (2 * eps))
    # The generator's loss: the ratio is a function of x that stays as it is.
    mean, deviation = START
    x = mean + deviation * z
    u = log_ratio(x, mean, deviation)
    near = [log_ratio(x + s * eps, mean, deviation) for s in (1, -1)]
    slope_of_u = (near[0] - near[1]) / (2 * eps)
    mapping = kmf.mappings.get(choice["mapping"])
    slope = ops.convert_to_numpy(
        mapping.derivative(ops.convert_to_tensor(u, "float64"))
    )
    along = -weights * slope * slope_of_u
    detached = [float(np.sum(along)), float(np.sum(along * z))]
    return {"divergence": gradient, "generator": detached}


def choices(quick):
    points = 2001 if quick else 20001
    return [{"mapping": name, "points": points} for name in DIVERGENCES]


def factor_and_error(result):
    """What the generator's gradient has to be multiplied with, and the relative
    difference that is left."""
    a, b = (np.array(result[k]) for k in ("divergence", "generator"))
    factor = a @ b / (b @ b)
    return factor, np.linalg.norm(a - factor * b) / np.linalg.norm(a)


def table(results):
    lines = head(
        "mapping h", "divergence", "gradient of it in (m, s)", "factor", "error"
    )
    for r in results:
        factor, error = factor_and_error(r)
        gradient = ", ".join(f"{g:.4f}" for g in r["divergence"])
        name, _ = DIVERGENCES[r["mapping"]]
        lines.append(
            row(
                f"`{r['mapping']}`",
                name,
                gradient,
                f"{factor:.4f}",
                f"{error:.0e}",
            )
        )
    return lines


def verdict(results):
    worst = max(factor_and_error(r)[1] for r in results)
    agree = worst < 1e-4
    why = f"the largest relative difference is {worst:.0e}"
    return ("reproduced" if agree else "not reproduced"), why


def draw(results, path):
    """Both gradients, which should coincide."""
    figure, axis = plt.subplots(figsize=(5.2, 3.4))
    for i, r in enumerate(results):
        factor, _ = factor_and_error(r)
        a, b = (np.array(r[k]) for k in ("divergence", "generator"))
        axis.plot(*a, "o", ms=11, mfc="none", color=f"C{i}", label=r["mapping"])
        axis.plot(*(factor * b), "x", color=f"C{i}")
    axis.set(
        xlabel="slope in the mean",
        ylabel="slope in the deviation",
        xscale="log",
    )
    axis.set_yscale("symlog", linthresh=0.1)
    axis.margins(0.15)
    axis.set_title(
        "circles: of the divergence; crosses: of the generator's loss",
        fontsize=9,
    )
    axis.legend(fontsize=7, loc="center right")
    save(figure, path)


CLAIM = Claim(
    name="gradient_identity",
    title="Descending the generator's loss descends an f-divergence",
    source="MonoFlow, arXiv 2302.01075, section 4.2",
    claim="The gradient of -E h(log r(G(z))), with the ratio r held fixed, is "
    "that of the f-divergence whose h this is, h'(u) = r² f''(r).",
    setup="A mixture of two Gaussians as data, a Gaussian as generator, both "
    "gradients with respect to its mean and deviation by quadrature; the "
    "factor is what the definitions of the divergence and of h differ by.",
    advice="Choose a mapping by the divergence that you want to go down; the "
    "loss that is shown is not its value.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
