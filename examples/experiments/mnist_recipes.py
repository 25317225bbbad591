"""The two recipes of `mnist.py` side by side: how good, and how long?

Each is trained as that script does, with several seeds. A classifier compares
10000 samples with the test images: the Fréchet distance of its features, how
sure it is, and how many classes have one percent or more. Seconds are processor
time. `--table` prints what there is and draws samples of both.

A long experiment, half an hour a run on one core with TensorFlow: `--output`
keeps what was done, and a run that was stopped goes on.

    cd examples/experiments
    python mnist_recipes.py
"""

import argparse
import pathlib
import sys
import time

import keras
import numpy as np
from sample_flows import of_kind, results_of

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import mnist

RECIPES = {"monoflow": "before: the MonoFlow authors", "r3gan": "after: R3GAN"}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    names = list(RECIPES)
    add("--only", nargs="*", choices=names, default=names, metavar="RECIPE")
    add("--seeds", type=int, nargs="*", default=[0, 1, 2])
    add("--epochs", type=int, default=15, help="passes over the data")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/mnist_recipes")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    add("--table", action="store_true", help="print and draw what there is")
    return parser.parse_args()


def folder_of(arguments, recipe, seed):
    return arguments.output / f"{recipe}_{seed}_{arguments.epochs}"


def make_run(arguments):
    """Returns the function of a choice that trains a model and judges it."""

    def run(choice):
        images, _, test, classifier = mnist.digits_and_classifier(
            arguments.data_dir
        )
        recipe, seed = choice["recipe"], choice["seed"]
        folder = folder_of(arguments, recipe, seed)
        # A run that goes on does not know how long it took before.
        whole = not (folder / "backup").exists()
        started = time.process_time()
        gan = mnist.train(
            mnist.parse_arguments(
                [
                    *("--recipe", recipe, "--seed", str(seed)),
                    *("--epochs", str(choice["epochs"])),
                    *("--output", str(folder)),
                ]
            ),
            images,
        )
        seconds = time.process_time() - started if whole else None
        samples = gan.sample(10_000, seed=0)
        found = mnist.score(samples, classifier, test)
        grid = kmf.plots.image_grid(samples[:64], columns=8)
        keras.utils.save_img(folder / "samples.png", grid)
        return {
            **choice,
            **{k: float(found[k]) for k in ("fid", "confidence", "classes")},
            "seconds": seconds,
        }

    return run


def print_table(results):
    print("\n| recipe | Fréchet distance | confidence | classes | minutes |")
    print("|---|---|---|---|---|")
    for recipe, title in RECIPES.items():
        of = of_kind(results, recipe=recipe)
        if not of:
            continue
        fids = ", ".join(f"{r['fid']:.2f}" for r in of)
        sure = ", ".join(f"{r['confidence']:.3f}" for r in of)
        classes = ", ".join(f"{r['classes']:.0f}" for r in of)
        times = [r["seconds"] / 60 for r in of if r["seconds"]]
        minutes = f"{np.mean(times):.0f}" if times else "-"
        print(f"| {title} | {fids} | {sure} | {classes} | {minutes} |")


def draw(arguments):
    """The samples of both recipes with the first seed that both were run with,
    side by side."""
    import matplotlib.pyplot as plt

    for seed in arguments.seeds:
        paths = {
            recipe: folder_of(arguments, recipe, seed) / "samples.png"
            for recipe in RECIPES
        }
        if all(path.exists() for path in paths.values()):
            break
    else:
        return
    figure, axes = plt.subplots(1, 2, figsize=(10, 5.4), layout="constrained")
    for axis, (recipe, path) in zip(axes, paths.items()):
        axis.imshow(plt.imread(path), cmap="gray")
        axis.set_title(RECIPES[recipe])
        axis.set_axis_off()
    figure.savefig(arguments.output / "mnist_recipes.png", dpi=110)


def main():
    arguments = parse_arguments()
    choices = [
        {"recipe": recipe, "seed": seed, "epochs": arguments.epochs}
        for seed in arguments.seeds
        for recipe in arguments.only
    ]
    results = results_of(
        [] if arguments.table else choices,
        arguments.output / "results.jsonl",
        make_run(arguments),
    )
    results = of_kind(results, epochs=arguments.epochs)
    results.sort(key=lambda r: r["seed"])
    if results:
        print_table(results)
        draw(arguments)


if __name__ == "__main__":
    main()
