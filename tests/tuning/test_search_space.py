"""The declared hyperparameters, and the models they stand for."""

import keras
import pytest

kt = pytest.importorskip("keras_tuner")

import keras_monoflow as kmf  # noqa: E402
from keras_monoflow.tuning.search_space import SearchSpace  # noqa: E402


def generator():
    return kmf.networks.mlp_generator(2, 2, units=(2,))


def discriminator():
    return kmf.networks.mlp_discriminator(2, units=(2,))


def make(cls=None, **space):
    cls = cls or kmf.tuning.MappingHyperModel
    return cls(generator, discriminator, space=space)


def values_of(**values):
    hp = kt.HyperParameters()
    hp.values.update(values)
    return hp


def build(values, **space):
    return make(**space).build(values_of(**values))


def space_of(hypermodel, folder):
    """The hyperparameters that a tuner finds."""
    tuner = kt.RandomSearch(
        hypermodel, hypermodel.objective, directory=folder, max_trials=1
    )
    return tuner.oracle.get_space().space


@pytest.mark.slow
def test_default_space_has_all_that_it_says(tmp_path):
    conditions = {
        h.name: [(c.name, c.values) for c in h.conditions]
        for h in space_of(make(), tmp_path)
    }
    assert conditions.pop("mapping") == []
    assert conditions["shift"] == [("mapping", ["vanilla"])]
    assert conditions["alpha"] == [("mapping", ["alpha"])]
    assert conditions["limit"] == [("mapping", ["jeffreys", "alpha"])]
    assert conditions["discriminator_loss_without_dual"] == [
        ("mapping", ["arcsinh"])
    ]
    for name in ("penalty_weight", "penalty_every"):
        assert conditions[name] == [("penalty", ["r1", "r1+r2"])]
    assert conditions["step_size"] == [("persistency", [3, 5])]
    assert conditions["update"] == [("persistency", [3, 5])]
    free = {name for name, found in conditions.items() if not found}
    assert free == {
        "seeds",
        "optimizer",
        "beta_1",
        "generator_learning_rate",
        "discriminator_learning_rate",
        "discriminator_steps",
        "persistency",
        "penalty",
        "ema",
    }


def test_values_reach_the_model():
    gan = build(
        {
            "mapping": "vanilla",
            "shift": 3.0,
            "discriminator_loss": "matched",
            "penalty": "r1",
            "penalty_weight": 0.25,
            "generator_learning_rate": 0.125,
            "discriminator_learning_rate": 0.5,
            "beta_1": 0.5,
            "discriminator_steps": 2,
            "persistency": 3,
            "step_size": 0.75,
            "update": "proximal",
            "ema": 0.99,
        }
    )
    assert isinstance(gan.mapping, kmf.mappings.Vanilla)
    assert gan.mapping.shift == 3
    assert isinstance(gan.discriminator_loss, kmf.losses.MatchedLoss)
    (penalty,) = gan.penalties
    assert isinstance(penalty, kmf.penalties.R1)
    assert penalty.weight == 0.25
    ours, theirs = gan.optimizer.optimizers
    assert isinstance(ours, keras.optimizers.Adam)
    assert float(ours.learning_rate) == 0.125
    assert float(theirs.learning_rate) == 0.5
    assert ours.beta_1 == theirs.beta_1 == 0.5
    assert gan.discriminator_steps == 2
    assert (gan.persistency, gan.step_size) == (3, 0.75)
    assert (gan.update, gan.ema) == ("proximal", 0.99)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"mapping": "alpha", "alpha": 0.5, "limit": 2.0}, (0.5, 2.0)),
        ({"mapping": "mle", "limit": 2.0}, (1.0, 2.0)),
    ],
)
def test_parameters_of_the_alpha_family(values, expected):
    gan = build(values, mapping=["identity", "alpha", "mle"])
    assert (gan.mapping.alpha, gan.mapping.limit) == expected


def cubic(u):
    return u + u**3


@pytest.mark.parametrize(
    ("label", "given"),
    [
        ("Vanilla(shift=2.0)", kmf.mappings.Vanilla(2.0)),
        ("cubic", cubic),
        ("arcsinh", "arcsinh"),
    ],
)
def test_mappings_that_are_no_names(label, given):
    space = {"mapping": ["identity", given]}
    gan = build({"mapping": label}, **space)
    expected = kmf.mappings.get(given)
    assert gan.mapping.get_config() == expected.get_config()
    assert type(gan.mapping) is type(expected)


def test_sums_of_penalties():
    gan = build(
        {"penalty": "r1+r2", "penalty_weight": 0.5, "penalty_every": 16},
        penalty=["none", "r1+r2"],
    )
    assert [type(p).__name__ for p in gan.penalties] == ["R1", "R2"]
    assert {(p.weight, p.every) for p in gan.penalties} == {(0.5, 16)}
    assert build({"penalty": "none"}, penalty=["none", "r1"]).penalties == []
    gan = build({"penalty": "wgan_gp+R2"}, penalty=["none", "wgan_gp+R2"])
    names = [type(p).__name__ for p in gan.penalties]
    assert names == ["GradientPenalty", "R2"]


def test_none_stands_for_none():
    assert build({}, ema="none").ema is None
    assert build({"ema": 0.9}, ema=[0.0, 0.9]).ema == 0.9


@pytest.mark.parametrize("augment", ["none", "diff_augment"])
def test_packs_and_augmentation(augment):
    hypermodel = kmf.tuning.MappingHyperModel(
        lambda: kmf.networks.dcgan_generator(2, (8, 8, 1), filters=2),
        lambda pack: kmf.networks.dcgan_discriminator((8, 8, pack), filters=2),
        space={"augment": ["none", "diff_augment"], "pack": [1, 3]},
    )
    gan = hypermodel.build(values_of(augment=augment, pack=3))
    assert gan.pack == 3
    assert (gan.augment is None) == (augment == "none")
    assert hypermodel.build(values_of(pack=1)).pack == 1
    with pytest.raises(ValueError, match="unknown entry 'pack'"):
        kmf.tuning.SampleFlowHyperModel(
            lambda: kmf.networks.mlp_generator(2, 2), space={"pack": 2}
        )


def test_constants_functions_and_additions():
    def rate(hp):
        return 2.0 * hp.Float("half_the_rate", 0.1, 0.2)

    hp = values_of(half_the_rate=0.15, normalize_velocity=True)
    gan = make(
        mapping="identity",
        generator_learning_rate=rate,
        discriminator_warmup=7,
        normalize_velocity=[False, True],
        penalty=kmf.penalties.R2(3.0),
        persistency=4,
        step_size=0.25,
        optimizer="sgd",
    ).build(hp)
    assert isinstance(gan.mapping, kmf.mappings.Identity)
    ours, _ = gan.optimizer.optimizers
    assert isinstance(ours, keras.optimizers.SGD)
    assert float(ours.learning_rate) == pytest.approx(0.3)
    assert gan.discriminator_warmup == 7
    assert gan.normalize_velocity is True
    assert isinstance(gan.penalties[0], kmf.penalties.R2)
    assert (gan.persistency, gan.step_size) == (4, 0.25)
    assert "beta_1" not in hp.values


def test_optimizers_from_functions():
    hp = kt.HyperParameters()
    gan = make(
        generator_optimizer=lambda hp: keras.optimizers.RMSprop(0.25)
    ).build(hp)
    ours, theirs = gan.optimizer.optimizers
    assert isinstance(ours, keras.optimizers.RMSprop)
    assert isinstance(theirs, keras.optimizers.Adam)
    assert "generator_learning_rate" not in hp.values
    assert "discriminator_learning_rate" in hp.values


def test_networks_may_declare_and_see_the_seed():
    def grown(hp, seed):
        assert seed == 4
        units = hp.Choice("units", [3, 5])
        return kmf.networks.mlp_generator(2, 2, units=(units,), seed=seed)

    hypermodel = kmf.tuning.MappingHyperModel(grown, discriminator, seeds=4)
    gan = hypermodel.build(values_of(units=5))
    assert gan.generator.weights[0].shape == (2, 5)
    assert gan.seed == 4


def test_w1fe():
    hypermodel = make(kmf.tuning.W1FEHyperModel, critic_warmup=50)
    model = hypermodel.build(
        values_of(persistency=5, step_size=0.2, critic_steps=2)
    )
    assert isinstance(model, kmf.W1FE)
    assert (model.persistency, model.step_size) == (5, 0.2)
    assert model.discriminator_warmup == 50
    assert isinstance(model.penalties[0], kmf.penalties.LipschitzPenalty)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"maping": ["identity"]}, r"'maping'. Did you mean 'mapping'"),
        ({"beta_1": []}, r"space\['beta_1'\]"),
    ],
)
def test_unknown_or_empty_entries(space, words):
    with pytest.raises(ValueError, match=words):
        make(**space)


def test_bad_arguments():
    with pytest.raises(TypeError, match="`generator_fn` must be a function"):
        kmf.tuning.MappingHyperModel(generator(), discriminator)
    with pytest.raises(ValueError, match=r"`seeds` .* seeds=\(1, 1\)"):
        kmf.tuning.MappingHyperModel(generator, discriminator, seeds=(1, 1))
    with pytest.raises(kt.errors.FatalValueError, match="'hinge'"):
        build({}, penalty="hinge")
    with pytest.raises(kt.errors.FatalValueError, match="for arcsinh"):
        build({}, mapping=["arcsinh"], discriminator_loss=["matched"])


def test_a_scope_that_is_always_active_is_none():
    hp = kt.HyperParameters()
    space = SearchSpace({"steps": [2, 3], "size": [1, 2]}, None, [])
    steps = space.value(hp, "steps")
    assert space.value_if(hp, "size", "steps", steps, lambda s: s > 1) == 1
    assert not hp.space[-1].conditions
