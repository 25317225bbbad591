"""What a held-out batch tells about a flow."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients, mappings
from keras_monoflow.models.looking import looking
from keras_monoflow.typing import Array, ArrayLike, Tensor


def flow_statistics(
    model: Any,
    real: Array,
    labels: Array | None,
    generated: Array,
    inputs: Any = None,
) -> dict[str, Any]:
    """Returns arrays and numbers by name.

    These are `"speed"`, the norms `|grad V|` of the generated samples, or of
    their velocity; `"discriminator_gradient"`, if there is one, and, given
    `inputs`, `"generator_gradient"`, the norms of the gradients of the losses;
    and of a flow that follows a density ratio, `"log_ratio_real"`,
    `"log_ratio_fake"`, `"slope"` and `"accuracy"`.

    Args:
        model: A model of the package.
        real: Array of `n` real samples, rows if they have several parts.
        labels: Their labels, which the generated samples share, or `None`.
        generated: Array of `n` generated samples.
        inputs: What a generator made these from, or `None`.
    """
    split = model.parts.split
    velocity = model.parts.join(model.velocity(split(generated), labels))
    values = {
        "speed": np.linalg.norm(velocity.reshape(len(generated), -1), axis=1),
    }
    with looking(model, seed=0):
        if model.discriminator is not None:
            values |= _gradient_norms(model, real, labels, generated, inputs)
        elif inputs is not None:
            norm = _norm_along(model, velocity, inputs)
            values["generator_gradient"] = norm
    if model.estimates_ratio:
        real_ratio = model.log_ratio(split(real), labels)
        fake_ratio = model.log_ratio(split(generated), labels)
        values["log_ratio_real"] = real_ratio
        values["log_ratio_fake"] = fake_ratio
        mapping = model.mapping.given(real_ratio)
        values["slope"] = slope(mapping, fake_ratio)
        values["accuracy"] = np.mean([*(real_ratio > 0), *(fake_ratio < 0)])
    return values


def slope(mapping: mappings.Mapping, u: ArrayLike) -> Array:
    """Returns `h'(u)` of an array."""
    u = ops.convert_to_tensor(np.asarray(u, "float32"))
    return ops.convert_to_numpy(ops.stop_gradient(mapping.derivative(u)))


def steady_mappings(u: float, threshold: float) -> list[str]:
    """Returns names of mappings whose slope is neither tiny nor huge at `u`.

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


def _gradient_norms(
    model: Any,
    real: Array,
    labels: Array | None,
    generated: Array,
    inputs: Any,
) -> dict[str, float]:
    """Norms of the gradients of both losses at the weights, in inference."""
    labels = None if labels is None else ops.convert_to_tensor(labels)

    if inputs is not None:
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)

    def output(x: Tensor) -> Any:
        judged = model.discriminator_inputs(x, labels)
        return model.discriminator(judged, training=False)

    data = ops.convert_to_tensor(np.asarray(real, "float32"))
    potential, known = model.flow_potential, {}
    if potential.needs_real_output:
        known["real_output"] = output(data)

    def samples_of_generator() -> Tensor:
        return model.parts.join(model.generator(inputs, training=False))

    def generator_loss() -> Tensor:
        outputs = output(samples_of_generator())
        return -ops.mean(potential.value(outputs, **known))

    norms = {}
    x = ops.convert_to_tensor(generated)
    if inputs is not None:
        norms["generator_gradient"] = _norm(
            generator_loss, model.generator.trainable_variables
        )
        # `generated` may come from averaged weights.
        x = samples_of_generator()
    x = ops.stop_gradient(ops.cast(x, "float32"))

    def discriminator_loss() -> Tensor:
        objective = gradients.discard_updates(model.discriminator_objective)
        return objective(data, x, labels)

    norms["discriminator_gradient"] = _norm(
        discriminator_loss, model.discriminator_variables()
    )
    return norms


def _norm_along(model: Any, velocity: Array, inputs: Any) -> float:
    """Norm of the gradient of `-mean <velocity, G(z)>`, in inference."""
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    velocity = ops.convert_to_tensor(velocity)

    def loss() -> Tensor:
        x = model.parts.join(model.generator(inputs, training=False))
        x = ops.cast(x, "float32")
        return -ops.sum(x * velocity) / len(velocity)

    return _norm(loss, model.generator.trainable_variables)


def _norm(loss_fn: Callable[[], Tensor], variables: Sequence[Any]) -> float:
    _, grads = gradients.value_and_grad(loss_fn, variables)
    squares = [np.sum(ops.convert_to_numpy(g) ** 2) for g in grads]
    return float(np.sqrt(np.sum(squares)))
