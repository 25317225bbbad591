"""Persistent and naive W1-FE on CIFAR-10.

TFDS_DATA_DIR=~/tfds python examples/papers/cifar10.py
"""

import images
import keras
import matplotlib.pyplot as plt
import numpy as np
from claims import Claim, head, main, row, save

import keras_monoflow as kmf

#: Persistency, update and step size.
RUNS = {
    "K=1": (1, "persistent", 1.0),
    "K=3": (3, "persistent", 1.0),
    "K=5": (5, "persistent", 1.0),
    "K=5, steps of 5": (5, "persistent", 5.0),
    "naive, K=3": (3, "naive", 1.0),
    "naive, K=5": (5, "naive", 1.0),
}
SHOWN = 12


def run(choice):
    data, seed = choice["data"], choice["seed"]
    persistency, update, _ = RUNS[choice["run"]]
    filters = 8 if data == "digits" else 24
    model = kmf.W1FE(*images.networks(data, seed, filters), seed=seed)
    model.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4, 0.0, 0.9),
        critic_optimizer=keras.optimizers.Adam(2e-4, 0.0, 0.9),
        penalty=kmf.penalties.LipschitzPenalty(10.0),
        # Each step has images of its own.
        critic_steps=2,
        split_batch=True,
        persistency=persistency,
        update=update,
        step_size=choice["step"],
        ema=0.99,
    )
    looks = images.train(
        model, data, seed, 2 * 64, choice["rounds"], choice["looks"]
    )
    samples = images.packed(model.sample(SHOWN, seed=0))
    return {
        "curve": looks,
        "samples": samples,
        "floor": images.floor(data),
    }


def choices(quick):
    size = {"rounds": 20, "looks": 2} if quick else {"rounds": 3000, "looks": 6}
    return [
        {
            "data": "digits" if quick else "cifar10",
            "run": name,
            "step": RUNS[name][2],
            "seed": 0,
            **size,
        }
        for name in (["K=1", "K=5"] if quick else RUNS)
    ]


def at(result, seconds, value="fid"):
    """A value after so many seconds of training, on a straight line between
    two looks."""
    curve = result["curve"]
    return np.interp(
        seconds, [k["seconds"] for k in curve], [k[value] for k in curve]
    )


def table(results):
    rounds = [look["rounds"] for look in results[0]["curve"]]
    middle = len(rounds) // 2 - 1
    common = min(r["curve"][-1]["seconds"] for r in results)
    lines = head(
        "run",
        f"Fréchet, {rounds[middle]} rounds",
        f"{rounds[-1]} rounds",
        f"{common:.0f} s of training",
        "kernel",
        "confidence",
        "classes",
        "s a round",
    )
    for r in results:
        first, half, last = (r["curve"][i] for i in (0, middle, -1))
        seconds = last["seconds"] - first["seconds"]
        speed = seconds / (last["rounds"] - first["rounds"])
        lines.append(
            row(
                r["run"],
                f"{half['fid']:.1f}",
                f"{last['fid']:.1f}",
                f"{at(r, common):.1f}",
                f"{last['kernel']:.3g}",
                f"{last['confidence']:.2f}",
                last["classes"],
                f"{speed:.3f}",
            )
        )
    low = results[0]["floor"]
    return [
        *lines,
        "",
        f"Training images have a Fréchet distance of {low['fid']:.1f} and a "
        f"kernel distance of {low['kernel']:.3g}.",
    ]


def verdict(results):
    """Persistent fits should be ahead of K = 1, at equal rounds and at equal
    seconds. What naive ones do is no part of the claim."""
    common = min(r["curve"][-1]["seconds"] for r in results)
    last = {r["run"]: r["curve"][-1]["fid"] for r in results}
    equal = {r["run"]: float(at(r, common)) for r in results}
    at_rounds, at_seconds = (
        "; ".join(f"{name}: {fid:.1f}" for name, fid in of.items())
        for of in (last, equal)
    )
    why = (
        f"Fréchet distances at equal rounds ({at_rounds}), at equal seconds "
        f"({at_seconds})"
    )
    ahead = [
        of[name] < of["K=1"]
        for of in (last, equal)
        for name in ("K=3", "K=5")
        if name in of
    ]
    # (One seed says no more.)
    most = sum(ahead) > len(ahead) / 2
    return ("reproduced under conditions" if most else "not reproduced"), why


def draw(results, path):
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 3.6), width_ratios=[1, 1.6]
    )
    for r in results:
        seconds = [look["seconds"] for look in r["curve"]]
        style = "--" if "naive" in r["run"] else "-"
        fids = [look["fid"] for look in r["curve"]]
        left.plot(seconds, fids, style, marker="o", ms=3, label=r["run"])
    left.set(xlabel="processor seconds of training", ylabel="Fréchet distance")
    left.legend(fontsize=7)
    shape = images.SHAPES[results[0]["data"]]
    strips = [
        np.hstack(list(images.unpacked(r["samples"], shape))) for r in results
    ]
    right.imshow(np.vstack(strips), cmap="gray")
    middles = [shape[0] * (i + 0.5) for i in range(len(results))]
    right.set_yticks(middles, [r["run"] for r in results], fontsize=8)
    right.set_xticks([])
    save(figure, path)


CLAIM = Claim(
    name="cifar10",
    title="Persistent fits on CIFAR-10",
    source="W1-FE, arXiv 2405.16351, section 5",
    claim="On CIFAR-10 larger K lowers the FID faster. The paper prints "
    "curves, no numbers.",
    setup="DCGANs of 24 feature maps, two critic steps a round with the "
    "one-sided penalty, batches of 64, step size 1 (data lie about 27 from "
    "their mean) and once 5, 3000 rounds, one seed. Both distances are of the "
    "features of a classifier that `images.py` trains, and no FID of others. "
    "Other programs ran beside these, so seconds are rough: the two "
    "runs with persistent K = 5 do the same work in a round.",
    advice="Take `persistency=3`, which is ahead of K = 1 at equal rounds and "
    "at equal seconds. Naive fits, which fail on mixtures of points, ended "
    "lowest here: try `update='naive'` beside it. Longer steps are not what "
    "makes the difference, and this is one seed.",
    choices=choices,
    run=run,
    table=table,
    verdict=verdict,
    draw=draw,
)

if __name__ == "__main__":
    main(CLAIM)
