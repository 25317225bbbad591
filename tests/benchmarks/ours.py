"""The package's side of steps.py: a model with the settings of a recipe."""

import keras

import keras_monoflow as kmf


def compile_model(
    recipe, networks, jit_compile="auto", penalty=None, **options
):
    """The package's model of a recipe, compiled.

    Args:
        recipe: A `Recipe`.
        networks: A generator and a discriminator.
        jit_compile: As in `keras.Model.compile`.
        penalty: Stands in for the one that the recipe names.
        **options: Further arguments of `compile`.
    """
    penalties = {
        None: lambda weight: None,
        "r1": kmf.penalties.R1,
        "lipschitz": kmf.penalties.LipschitzPenalty,
        "gradient": kmf.penalties.GradientPenalty,
    }
    if penalty is None:
        penalty = penalties[recipe.penalty](recipe.weight)
    is_w1 = recipe.flow == "w1"
    role = "critic" if is_w1 else "discriminator"
    model = (kmf.W1FE if is_w1 else kmf.MonoFlowGAN)(*networks, seed=0)
    adam = {
        "beta_1": recipe.beta_1,
        "beta_2": recipe.beta_2,
        "epsilon": recipe.epsilon,
    }
    options[f"{role}_optimizer"] = keras.optimizers.Adam(
        recipe.discriminator_rate, **adam
    )
    options[f"{role}_steps"] = recipe.steps
    model.compile(
        generator_optimizer=keras.optimizers.Adam(
            recipe.generator_rate, **adam
        ),
        penalty=penalty,
        persistency=recipe.persistency,
        step_size=recipe.step_size,
        reuse_generated=recipe.reuse,
        jit_compile=jit_compile,
        **options,
    )
    return model
