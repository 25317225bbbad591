"""A tiny search that tests, and the processes they start, all run."""

import keras
import numpy as np

import keras_monoflow as kmf


class Gap(kmf.metrics.DistributionMetric):
    """Distance of the means, so that the tests need no other package."""

    default_name = "gap"

    def compute(self, real, generated):
        return np.linalg.norm(real.mean(axis=0) - generated.mean(axis=0))


class Near(kmf.metrics.DistributionMetric):
    """The share of samples within 1 of the origin: more is better."""

    default_name, direction = "near", "max"

    def compute(self, real, generated):
        return (np.linalg.norm(generated, axis=1) < 1).mean()


def generator(seed):
    return kmf.networks.mlp_generator(2, 2, units=(4,), seed=seed)


def discriminator(seed):
    return kmf.networks.mlp_discriminator(2, units=(4,), seed=seed)


#: Small and quick: one optimizer step is one epoch.
SPACE = {
    "mapping": ["identity", "vanilla"],
    "shift": [0.0, 5.0],
    "discriminator_loss": "logistic",
    "penalty": "none",
    "optimizer": "sgd",
    "generator_learning_rate": 0.1,
    "discriminator_learning_rate": 0.5,
    "discriminator_steps": 1,
    "persistency": 1,
    "ema": 0.0,
}


def hypermodel(**changes):
    arguments = {"metrics": Gap(), "samples": 32, "space": SPACE}
    return kmf.tuning.MappingHyperModel(
        generator, discriminator, **{**arguments, **changes}
    )


def data():
    x = np.random.default_rng(0).normal(size=(32, 2)) + 1.0
    return x.astype("float32")


def tuner(folder, model=None, kind=kmf.tuning.GridSearch, **arguments):
    model = hypermodel() if model is None else model
    return kind(
        model,
        objective=arguments.pop("objective", None) or model.objective,
        directory=folder,
        project_name="search",
        **{"max_consecutive_failed_trials": 100, **arguments},
    )


def search(tuner, **arguments):
    tuner.search(
        data(), **{"batch_size": 32, "epochs": 2, "verbose": 0, **arguments}
    )
    return tuner


def fit_by_hand(values, seed, epochs=2):
    """What a trial with two epochs must come to, without the tuner."""
    keras.utils.set_random_seed(seed)
    gan = kmf.MonoFlowGAN(generator(seed), discriminator(seed), seed=seed)
    mapping = {
        "identity": lambda: kmf.mappings.Identity(),
        "vanilla": lambda: kmf.mappings.Vanilla(values["shift"]),
    }[values["mapping"]]()
    gan.compile(
        keras.optimizers.SGD(values["generator_learning_rate"]),
        keras.optimizers.SGD(0.5),
        mapping=mapping,
    )
    callback = kmf.callbacks.DistributionMetrics(Gap(), samples=32)
    history = gan.fit(
        data(), batch_size=32, epochs=epochs, verbose=0, callbacks=[callback]
    )
    return min(history.history["val_gap"])
