"""Does any increasing mapping work, and what do others do?

python examples/papers/any_mapping.py
"""

import warnings

import matplotlib.pyplot as plt
import planar
from claims import Claim, has_diverged, head, main, row, save, values
from keras import ops

import keras_monoflow as kmf

INCREASING, FLAT, OTHERS = "increasing", "with a flat part", "not increasing"
#: Kinds, and mappings by name or as functions of u.
MAPPINGS = {
    "identity": (INCREASING, "identity"),
    "mle": (INCREASING, "mle"),
    "hellinger": (INCREASING, "hellinger"),
    "vanilla": (INCREASING, "vanilla"),
    "non_saturating": (INCREASING, "non_saturating"),
    "arcsinh": (INCREASING, "arcsinh"),
    "jeffreys": (INCREASING, "jeffreys"),
    "least_squares": (INCREASING, "least_squares"),
    "u + 0.9 sin u": (INCREASING, lambda u: u + 0.9 * ops.sin(u)),
    "u + u³": (INCREASING, lambda u: u + u**3),
    "u / (1 + |u|)": (INCREASING, lambda u: u / (1.0 + ops.abs(u))),
    "tanh u": (INCREASING, ops.tanh),
    "max(u, -1)": (FLAT, lambda u: ops.where(u > -1.0, u, -1.0)),
    "max(u, 0)": (FLAT, lambda u: ops.where(u > 0.0, u, 0.0)),
    "min(u, 0)": (FLAT, lambda u: ops.where(u < 0.0, u, 0.0)),
    "0 for |u| < 1": (FLAT, lambda u: u - ops.clip(u, -1.0, 1.0)),
    "u + 2 sin 2u": (OTHERS, lambda u: u + 2.0 * ops.sin(2.0 * u)),
    "-u²": (OTHERS, lambda u: -(u**2)),
    "|u|": (OTHERS, ops.abs),
    "-u": (OTHERS, lambda u: -u),
}
#: A distance from which a generator has learned something of the ring.
LEARNED = 0.5


def run(choice):
    seed = choice["seed"]
    _, mapping = MAPPINGS[choice["mapping"]]
    if not isinstance(mapping, str):
        # (`compile` refuses functions that are not increasing, but objects of
        # this class are taken as they are.)
        mapping = kmf.mappings.FunctionMapping(mapping)
        warnings.filterwarnings("ignore", "The mapping .* is not registered")
    model = kmf.MonoFlowGAN(*planar.networks(seed), seed=seed)
    model.compile(
        generator_optimizer=planar.generator_optimizer(),
        discriminator_optimizer=planar.critic_optimizer(),
        mapping=mapping,
        penalty=[kmf.penalties.R1(0.1), kmf.penalties.R2(0.1)],
        discriminator_warmup=50,
    )

    try:
        return {"w1": planar.w1_at_the_end(model, choice, "ring")}
    except ValueError as error:  # The package stops at a NaN.
        if not has_diverged(error):
            raise
        return {"w1": None}


def choices(quick):
    size = (
        {"rounds": 40, "looks": 2} if quick else {"rounds": 2000, "looks": 10}
    )
    names = ["identity", "-u"] if quick else list(MAPPINGS)
    return [
        {"mapping": name, "seed": seed, **size}
        for seed in range(1 if quick else 3)
        for name in names
    ]


def cell(found):
    known = [v for v in found if v is not None]
    diverged = len(found) - len(known)
    shown = planar.mean_and_spread(known, ".2f") if known else ""
    return shown + (f" ({diverged} diverged)" if diverged else "")


def learned(results):
    """Which mappings have learned the ring with every seed."""
    return {
        name: all(
            v is not None and v < LEARNED
            for v in values(results, "w1", mapping=name)
        )
        for name in dict.fromkeys(r["mapping"] for r in results)
    }


def table(results):
    lines = head("kind", "h(u)", "W1", f"below {LEARNED}")
    for name, well in learned(results).items():
        kind, mapping = MAPPINGS[name]
        shown = f"`{name}`" if isinstance(mapping, str) else name
        shown = shown.replace("|", "\\|")
        lines.append(
            row(
                kind,
                shown,
                cell(values(results, "w1", mapping=name)),
                "yes" if well else "no",
            )
        )
    return lines


def verdict(results):
    well = learned(results)
    counts = {
        kind: (
            sum(w for n, w in well.items() if MAPPINGS[n][0] == kind),
            sum(MAPPINGS[n][0] == kind for n in well),
        )
        for kind in (INCREASING, FLAT, OTHERS)
    }
    why = ", ".join(f"{a} of {b} {kind}" for kind, (a, b) in counts.items())
    why = f"the ring was learned by {why}"
    works, tried = counts[INCREASING]
    return ("reproduced" if works == tried else "not reproduced"), why


def draw(results, path):
    names = list(dict.fromkeys(r["mapping"] for r in results))
    colors = {INCREASING: "tab:blue", FLAT: "tab:orange", OTHERS: "tab:red"}
    figure, axis = plt.subplots(figsize=(7, 4.6))
    for i, name in enumerate(names):
        kind = MAPPINGS[name][0]
        known = [
            v for v in values(results, "w1", mapping=name) if v is not None
        ]
        axis.semilogx(known, [i] * len(known), "o", color=colors[kind])
    axis.axvline(LEARNED, color="gray", lw=0.8, ls=":")
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel="exact W1 to the ring, each seed")
    handles = [
        plt.Line2D([], [], marker="o", ls="", color=c, label=kind)
        for kind, c in colors.items()
    ]
    axis.legend(handles=handles, fontsize=8)
    save(figure, path)


CLAIM = Claim(
    name="any_mapping",
    title="Any increasing mapping works",
    source="MonoFlow, arXiv 2302.01075, section 4.1 and its first open "
    "question",
    claim="Every strictly increasing h leads to the data, whether or not it is "
    "known as a GAN. What others do is left open.",
    setup="Eight Gaussians, the logistic discriminator with R1 + R2 of 0.1, "
    "2000 rounds, 3 seeds; W1 is the mean over the second half.",
    advice="Write your own mapping if you need another slope; `compile` checks "
    "that a function is increasing.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
