"""What a held-out batch tells about a flow."""

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients, mappings


def flow_statistics(model, real, labels, generated, latent=None):
    """Returns a dictionary of NumPy arrays and numbers.

    Args:
        model: A model of the package.
        real: Array of real samples.
        labels: Their labels, which the generated samples share, or `None`.
        generated: Array of as many generated samples.
        latent: The latent points that these come from, or `None`.
    """
    more = {} if labels is None else {"labels": labels}
    speed = np.linalg.norm(
        model.velocity(generated, **more).reshape(len(generated), -1), axis=1
    )
    norms = _gradient_norms(model, real, labels, generated, latent)
    values = {"speed": speed, **norms}
    if not has_log_ratio(model):
        return values
    values["log_ratio_real"] = model.log_ratio(real, **more)
    values["log_ratio_fake"] = model.log_ratio(generated, **more)
    values["slope"] = slope(model.mapping, values["log_ratio_fake"])
    right = np.concatenate(
        [values["log_ratio_real"] > 0, values["log_ratio_fake"] < 0]
    )
    values["accuracy"] = right.mean()
    return values


def has_log_ratio(model):
    """Whether a flow follows a density ratio, as Wasserstein flows do not."""
    return getattr(model, "mapping", None) is not None and hasattr(
        model.discriminator_loss, "log_ratio"
    )


def slope(mapping, u):
    """Returns `h'(u)` of an array."""
    u = ops.convert_to_tensor(np.asarray(u, "float32"))
    return ops.convert_to_numpy(ops.stop_gradient(mapping.derivative(u)))


def steady_mappings(u, threshold):
    """Names of mappings whose slope neither vanishes nor explodes at `u`.

    Args:
        u: Log density ratio of a typical sample.
        threshold: Slopes below this count as vanished, above its inverse as
            exploded.
    """
    named = {name: make() for name, make in mappings.NAMED.items()}
    shift = float(np.ceil(np.clip(-u, 1.0, 50.0)))
    named[f"Vanilla(shift={shift:g})"] = mappings.Vanilla(shift)
    return [
        name
        for name, mapping in named.items()
        if threshold <= float(slope(mapping, [u])[0]) <= 1 / threshold
    ]


def _gradient_norms(model, real, labels, generated, latent):
    """Norms of the gradients of both losses at the weights, in inference."""
    norms = {}
    real = ops.convert_to_tensor(np.asarray(real, "float32"))
    if labels is not None:
        labels = ops.convert_to_tensor(labels)

    def inputs(x):
        return x if labels is None else [x, labels]

    if latent is not None:
        latent = ops.convert_to_tensor(latent)

        def generator_loss():
            x = model.generator(inputs(latent), training=False)
            output = model.discriminator(inputs(x), training=False)
            return -ops.mean(model.flow_potential.value(output))

        norms["generator_gradient"] = _norm(
            generator_loss, model.generator.trainable_variables
        )
        generated = model.generator(inputs(latent), training=False)
    else:
        generated = ops.convert_to_tensor(generated)
    generated = ops.stop_gradient(ops.cast(generated, "float32"))

    def discriminator_loss():
        run = gradients.discard_updates(model.discriminator_objective)
        return run(real, generated, labels)

    norms["discriminator_gradient"] = _norm(
        discriminator_loss, model.discriminator_variables()
    )
    return norms


def _norm(loss_fn, variables):
    _, grads = gradients.value_and_grad(loss_fn, variables)
    squares = [np.sum(keras.ops.convert_to_numpy(g) ** 2) for g in grads]
    return float(np.sqrt(np.sum(squares)))
