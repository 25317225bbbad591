"""Draws the picture of `watching.md`: a flow that has stalled.

python docs/generate_stalled_flow.py
"""

import pathlib
import shutil
import sys
import tempfile

import keras_monoflow as kmf

DOCS = pathlib.Path(__file__).resolve().parent
sys.path.append(str(DOCS.parent / "examples" / "papers"))

import vanishing_gradients  # noqa: E402

EPOCHS = 28


def main():
    gan = vanishing_gradients.make_gan(
        {"mapping": "vanilla, C=0", "pretraining": 300, "seed": 0}
    )
    points = kmf.datasets.gaussian_ring(25 * vanishing_gradients.BATCH, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        monitor = kmf.callbacks.FlowMonitor(folder, every=4)
        gan.fit(
            points,
            batch_size=vanishing_gradients.BATCH,
            epochs=EPOCHS,
            callbacks=[monitor],
            verbose=0,
        )
        last = max(pathlib.Path(folder).glob("*.png"))
        shutil.copy(last, DOCS / "images" / "flow_monitor.png")


if __name__ == "__main__":
    main()
