"""Tries an installed package that has one backend and no extra.

Trains each model a little, saves it, loads it and trains on, loads the models
that come with the package, and says how long `import keras_monoflow` takes
after `import keras`.

    KERAS_BACKEND=jax python .ci/smoke.py
"""

import importlib.util
import pathlib
import tempfile
import time

import keras
import numpy as np

start = time.perf_counter()
import keras_monoflow as kmf  # noqa: E402

seconds = time.perf_counter() - start


def trained(model, x):
    """The model after a save, a load and more training."""
    model.fit(x, batch_size=64, epochs=1, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        model = keras.saving.load_model(path)
    model.fit(x, batch_size=64, epochs=2, initial_epoch=1, verbose=0)
    samples = model.sample(100, seed=0)
    assert samples.shape == (100, *x.shape[1:]), samples.shape
    assert np.isfinite(samples).all()
    return model


def generator():
    return kmf.networks.mlp_generator(2, 2, seed=0)


def critic():
    return kmf.networks.mlp_discriminator(2, seed=0)


points = kmf.datasets.gaussian_ring(256, seed=0)

gan = kmf.MonoFlowGAN(generator(), critic())
gan.compile("adam", "adam", mapping="arcsinh", penalty="r1", ema=0.99)
trained(gan, points)

w1fe = kmf.W1FE(generator(), critic())
w1fe.compile("adam", "adam", persistency=3, step_size=0.1)
trained(w1fe, points)

w2fe = kmf.W2FE(generator(), critic(), critic())
w2fe.compile("adam", "adam")
trained(w2fe, points)

flow = kmf.SampleFlow(generator())
flow.compile("adam", "sinkhorn")
trained(flow, points)

images = np.random.default_rng(0).uniform(-1, 1, (64, 8, 8, 1))
gan = kmf.MonoFlowGAN(
    kmf.networks.dcgan_generator(4, (8, 8, 1), filters=4),
    kmf.networks.dcgan_discriminator((8, 8, 1), filters=4),
)
gan.compile("adam", "adam", mapping="relativistic", penalty=["r1", "r2"])
trained(gan, images.astype("float32"))

for name in kmf.models.pretrained_cards():
    print(name, kmf.models.load_pretrained(name).sample(10, seed=0).shape)

# What is not installed says how to install it.
if importlib.util.find_spec("ot") is None:
    message = ""
    try:
        kmf.metrics.WassersteinDistance()(points, points)
    except ImportError as error:
        message = str(error)
    assert "keras-monoflow[metrics]" in message, message

print(
    f"keras_monoflow {kmf.__version__} works on {keras.backend.backend()}; "
    f"its own import took {seconds:.2f} s"
)
