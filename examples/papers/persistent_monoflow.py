"""Does persistent training help divergence GANs?

python examples/papers/persistent_monoflow.py
"""

import images
import keras
import matplotlib.pyplot as plt
import numpy as np
import planar
from claims import Claim, head, main, row, save, values

import keras_monoflow as kmf

MAPPINGS = [
    "identity",
    "mle",
    "vanilla",
    "non_saturating",
    "arcsinh",
    "jeffreys",
]
FITS = [1, 5]
#: How far a step of the flow goes, as a share of the mean distance of the data
#: from their mean.
SHARE = 0.05
#: For images: seeds, rounds, feature maps and mappings.
IMAGES = {
    "digits": (3, 1000, 8, MAPPINGS),
    "mnist": (2, 1000, 16, ["identity", "vanilla", "non_saturating"]),
}


def flow(choice, step):
    """Arguments of `compile` that tell the runs apart."""
    return {
        "mapping": choice["mapping"],
        "persistency": choice["fits"],
        "step_size": step,
        "normalize_velocity": True,
    }


def on_points(choice):
    """The exact W1 over the second half."""
    seed = choice["seed"]
    model = kmf.MonoFlowGAN(*planar.networks(seed), seed=seed)
    model.compile(
        generator_optimizer=planar.generator_optimizer(),
        discriminator_optimizer=planar.critic_optimizer(),
        penalty=[kmf.penalties.R1(0.1), kmf.penalties.R2(0.1)],
        discriminator_warmup=50,
        # The data have the radius 2.
        **flow(choice, 2.0 * SHARE),
    )
    return planar.w1_at_the_end(model, choice, choice["data"])


def on_images(choice):
    """The Fréchet distance of a classifier's features at the end."""
    seed, data, rounds = choice["seed"], choice["data"], choice["rounds"]
    filters = IMAGES[data][2]
    x = images.load(data)[0].reshape(-1, np.prod(images.SHAPES[data]))
    radius = np.linalg.norm(x - x.mean(axis=0), axis=1).mean()
    model = kmf.MonoFlowGAN(*images.networks(data, seed, filters), seed=seed)
    model.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, 0.5),
        discriminator_optimizer=keras.optimizers.Adam(5e-4, 0.5),
        penalty=kmf.penalties.R1(0.1),
        ema=0.99,
        **flow(choice, float(radius) * SHARE),
    )
    return images.train(model, data, seed, 64, rounds)[-1]["fid"]


def run(choice):
    has_images = choice["data"] in IMAGES
    return {"distance": (on_images if has_images else on_points)(choice)}


def choices(quick):
    size = {"rounds": 40, "looks": 2} if quick else {"rounds": 800, "looks": 8}
    points = [
        {"data": data, "mapping": mapping, "fits": fits, "seed": seed, **size}
        for data in (["ring"] if quick else ["ring", "grid"])
        for seed in range(1 if quick else 5)
        for mapping in (MAPPINGS[:2] if quick else MAPPINGS)
        for fits in FITS
    ]
    pictures = [
        {
            "data": data,
            "mapping": mapping,
            "fits": fits,
            "seed": seed,
            "rounds": 20 if quick else rounds,
        }
        for data, (seeds, rounds, _, mappings) in IMAGES.items()
        if not quick or data == "digits"
        for seed in range(1 if quick else seeds)
        for mapping in (mappings[:1] if quick else mappings)
        for fits in FITS
    ]
    return points + pictures


def pairs(results):
    """The mean distance with one fit and with five, by data and mapping."""
    kinds = dict.fromkeys((r["data"], r["mapping"]) for r in results)
    return {
        (data, mapping): [
            np.mean(
                values(results, "distance", data=data, mapping=mapping, fits=k)
            )
            for k in FITS
        ]
        for data, mapping in kinds
    }


def table(results):
    lines = head("data", "distance", "mapping", *(f"K = {k}" for k in FITS))
    for data, mapping in pairs(results):
        cells = [
            planar.mean_and_spread(
                values(results, "distance", data=data, mapping=mapping, fits=k),
                ".2f" if data in IMAGES else ".3f",
            )
            for k in FITS
        ]
        kind = "Fréchet" if data in IMAGES else "exact W1"
        lines.append(row(data, kind, f"`{mapping}`", *cells))
    return lines


def prices(results):
    """How many times as long runs with five fits take, by data."""
    shown = []
    for data in dict.fromkeys(r["data"] for r in results):
        one, five = (
            values(results, "seconds", data=data, fits=k) for k in FITS
        )
        shown.append(f"{np.sum(five) / np.sum(one):.1f} ({data})")
    return ", ".join(shown)


def verdict(results):
    found = pairs(results).values()
    better = sum(several < one for one, several in found)
    gain = np.mean([1 - several / one for one, several in found])
    why = (
        f"after as many rounds, samples are nearer with K = 5 in {better} of "
        f"{len(found)} cases, by {gain:.0%} on average; a run takes "
        f"{prices(results)} times as long"
    )
    what = (
        "reproduced" if better == len(found) else "reproduced under conditions"
    )
    return (what if better > len(found) / 2 else "not reproduced"), why


def draw(results, path):
    """The distance with five fits as a share of that with one, by seed."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    data = list(dict.fromkeys(r["data"] for r in results))
    for j, mapping in enumerate(MAPPINGS):
        for i, name in enumerate(data):
            one, five = (
                values(results, "distance", data=name, mapping=mapping, fits=k)
                for k in FITS
            )
            place = np.full(len(one), i + 0.12 * (j - 2.5))
            label = mapping if i == 0 else None
            shares = np.divide(five, one)
            axis.plot(place, shares, "o", ms=4, color=f"C{j}", label=label)
    axis.axhline(1.0, color="gray", lw=0.8, ls=":")
    axis.set_xticks(range(len(data)), data)
    axis.set(ylim=(0, None), ylabel="distance, as a share\nof that of K = 1")
    axis.legend(fontsize=7, ncols=3)
    save(figure, path)


CLAIM = Claim(
    name="persistent_monoflow",
    title="Persistent fits in divergence GANs",
    source="Beyond both papers: W1-FE's step with MonoFlow's velocity",
    claim="What persistent training gains for the Wasserstein-1 flow it might "
    "gain for any: the generator fits the same moved samples K times.",
    setup="The velocity divided by its mean length, and steps of 5 percent of "
    "the mean distance of the data from their mean. Eight and twenty-five "
    "Gaussians: the logistic discriminator with R1 + R2 of 0.1, 5 seeds, 800 "
    "rounds; W1 is the mean over the second half. 8x8 digits and MNIST: DCGANs "
    "of 8 and 16 feature maps, R1 of 0.1, 3 and 2 seeds, 1000 rounds; the "
    "Fréchet distance of a classifier's features.",
    advice="Try `persistency=5` with `normalize_velocity=True` and a step of "
    "5 % of the data's radius when the generator's step is cheap beside the "
    "discriminator's.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
