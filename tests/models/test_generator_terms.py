"""Further terms of a generator's loss, against NumPy."""

import keras
import numpy as np
import pytest
from helpers import everything, numpy
from keras import layers, ops
from numpy_networks import SGD, descend, gradients, output, run, softplus

import keras_monoflow as kmf
from keras_monoflow.models.hidden_layers import hidden_layers
from keras_monoflow.terms import FeatureMatching, Reconstruction

RATE = 0.1
LATENT = np.array([0.7, -0.4])


def conditional_network(rng, size, units=5):
    """Of a point and a number beside it."""
    x, c = keras.Input((2,)), keras.Input((1,))
    hidden = layers.Dense(units, "tanh")(layers.Concatenate()([x, c]))
    network = keras.Model([x, c], layers.Dense(size)(hidden))
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


@keras.saving.register_keras_serializable("tests")
def brightness(samples, real, condition, features):
    return ops.mean(samples * condition) + ops.mean(features(samples)[0] ** 2)


def make_gan(rng, terms, **arguments):
    gan = kmf.MonoFlowGAN(
        conditional_network(rng, 2),
        conditional_network(rng, 1),
        prior=np.tile(LATENT, (3, 1)),
        seed=0,
    )
    gan.compile(
        keras.optimizers.SGD(RATE),
        keras.optimizers.SGD(RATE),
        generator_terms=terms,
        **arguments,
    )
    return gan


class ByHand:
    """The same training in NumPy."""

    def __init__(self, gan, x, c):
        self.g, self.d = (
            [np.array(w, "float64") for w in network.get_weights()]
            for network in (gan.generator, gan.discriminator)
        )
        self.x, self.c = np.float64(x), np.float64(c)
        self.z = np.concatenate([np.tile(LATENT, (len(x), 1)), self.c], 1)

    def samples(self, g):
        return run(g, self.z)

    def judged(self, x):
        return np.concatenate([x, self.c], 1)

    def hidden(self, x):
        return np.tanh(self.judged(x) @ self.d[0] + self.d[1])

    def train_discriminator(self):
        def loss(d):
            real = output(d, self.judged(self.x))
            fake = output(d, self.judged(self.samples(self.g)))
            return softplus(-real).mean() + softplus(fake).mean()

        self.d = descend(loss, self.d, RATE)

    def plain(self, x):
        return softplus(-output(self.d, self.judged(x))).mean()

    def slope(self, function):
        """The gradient of a function of samples, at those of now."""
        (slope,) = gradients(lambda w: function(w[0]), [self.samples(self.g)])
        return slope

    def fit(self, flow, terms, fits):
        """Steps down a function of samples, or towards moved ones."""
        y = self.samples(self.g)
        target = y - len(y) * self.slope(self.plain)
        for _ in range(fits):

            def loss(g):
                x = self.samples(g)
                towards = ((target - x) ** 2).sum(-1).mean() / 2
                main = {"persistent": towards, "naive": self.plain(x)}
                return main.get(flow, 0.0) + terms(x)

            self.g = SGD(RATE)(self.g, gradients(loss, self.g))


@pytest.fixture
def data(rng):
    x = np.float32(rng.normal(1.0, size=(8, 2)))
    return x, np.float32(rng.normal(size=(8, 1)))


def check(gan, hand, rtol=1e-3):
    after = gan.generator.get_weights() + gan.discriminator.get_weights()
    for new, want in zip(after, [*hand.g, *hand.d]):
        np.testing.assert_allclose(new, want, rtol=rtol, atol=1e-4)


@pytest.mark.parametrize(
    ("flow", "fits"), [("persistent", 1), ("persistent", 3), ("naive", 2)]
)
def test_a_round_with_two_terms(rng, data, flow, fits):
    x, c = data
    terms = [Reconstruction("l2", 0.5), brightness]
    gan = make_gan(rng, terms, persistency=fits, update=flow, step_size=1.0)
    hand = ByHand(gan, x, c)
    hand.train_discriminator()

    def further(y):
        return (
            0.5 * ((y - hand.x) ** 2).mean()
            + (y * hand.c).mean()
            + (hand.hidden(y) ** 2).mean()
        )

    y = hand.samples(hand.g)
    hand.fit(flow, further, fits)
    history = gan.fit(x, c, batch_size=8, shuffle=False, verbose=0).history
    check(gan, hand)
    np.testing.assert_allclose(
        [history["reconstruction"][0], history["brightness"][0]],
        [
            ((y - hand.x) ** 2).mean(),
            (y * hand.c).mean() + (hand.hidden(y) ** 2).mean(),
        ],
        rtol=1e-4,
    )


@pytest.mark.parametrize("paired", [False, True])
def test_feature_matching(rng, data, paired):
    x, c = data
    gan = make_gan(rng, FeatureMatching(2.0, paired=paired))
    hand = ByHand(gan, x, c)
    hand.train_discriminator()

    def further(y):
        gap = hand.hidden(y) - hand.hidden(hand.x)
        if paired:
            return 2 * np.abs(gap).mean()
        return 2 * (gap.mean(0) ** 2).mean()

    hand.fit("naive", further, 1)
    gan.fit(x, c, batch_size=8, shuffle=False, verbose=0)
    check(gan, hand)


def test_layers_in_networks_in_the_discriminator(rng):
    """In the order of their calls, each use of a shared one, and those that
    only end a network inside."""
    inner = keras.Sequential(
        [layers.Input((3,)), layers.Dense(3, "tanh"), layers.Dense(3, "silu")]
    )
    first = layers.Dense(3)
    x = keras.Input((2,))
    h = layers.Activation("relu")(first(x))
    outer = keras.Model(x, layers.Dense(1, "tanh")(inner(inner(h))))
    found = hidden_layers(outer, "discriminator")
    value = np.float32(rng.normal(size=(5, 2)))
    h = np.maximum(value @ first.get_weights()[0] + first.get_weights()[1], 0)
    expected = [h]
    w1, b1, w2, b2 = inner.get_weights()
    for _ in range(2):
        t = np.tanh(h @ w1 + b1)
        h = t @ w2 + b2
        h = h / (1 + np.exp(-h))
        expected += [t, h]
    values = [numpy(v) for v in found(value)]
    assert len(values) == len(expected)
    for a, b in zip(values, expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_several_scales_match_features(rng):
    shape = (16, 16, 1)
    discriminator = kmf.networks.multi_scale(
        lambda shape: kmf.networks.patch_discriminator(shape, filters=2), shape
    )
    count = len(hidden_layers(discriminator, "discriminator").outputs)
    single = kmf.networks.patch_discriminator(shape, filters=2)
    of_one = len(hidden_layers(single, "discriminator").outputs)
    assert count == len(discriminator.outputs) * of_one
    generator = keras.Sequential(
        [layers.Input((4,)), layers.Dense(256), layers.Reshape(shape)]
    )
    gan = kmf.MonoFlowGAN(generator, discriminator)
    gan.compile("sgd", "sgd", generator_terms=["feature_matching"])
    images = np.float32(rng.normal(size=(4, *shape)))
    history = gan.fit(images, batch_size=4, verbose=0).history
    assert history["feature_matching"][0] > 0


@pytest.mark.parametrize("fits", [1, 2])
def test_a_balanced_weight(rng, data, fits):
    """As strong at the samples as the flow; the same in every fit."""
    x, c = data
    gan = make_gan(
        rng,
        Reconstruction("l2", "balanced"),
        persistency=fits,
        step_size=1.0,
    )
    hand = ByHand(gan, x, c)
    hand.train_discriminator()

    def term(y):
        return ((y - hand.x) ** 2).mean()

    norms = [
        np.linalg.norm(hand.slope(function)) for function in (hand.plain, term)
    ]
    weight = norms[0] / (norms[1] + 1e-4)
    assert not 0.8 < weight < 1.2
    hand.fit("persistent", lambda y: weight * term(y), fits)
    gan.fit(x, c, batch_size=8, shuffle=False, verbose=0)
    check(gan, hand)


@pytest.mark.parametrize("weight", [0.5, "balanced"])
def test_the_generator_begins_alone(rng, data, weight):
    x, c = data
    gan = make_gan(
        rng,
        Reconstruction("l2", weight),
        persistency=2,
        step_size=1.0,
        generator_warmup=2,
    )
    hand = ByHand(gan, x, c)
    factor = 1.0 if weight == "balanced" else weight

    def term(y):
        return factor * ((y - hand.x) ** 2).mean()

    for _ in range(2):
        hand.fit("alone", term, 2)
    gan.fit(x, c, batch_size=8, epochs=2, shuffle=False, verbose=0)
    check(gan, hand)
    before = gan.discriminator.get_weights()
    gan.fit(x, c, batch_size=8, shuffle=False, verbose=0)
    after = gan.discriminator.get_weights()
    assert all((a != b).any() for a, b in zip(after, before))


def test_a_file_goes_on_with_them(rng, data, tmp_path):
    x, c = data
    gan = make_gan(
        rng,
        [
            Reconstruction("l1", "balanced"),
            FeatureMatching(kmf.schedules.Cosine(1.0, 0.1, 10)),
            brightness,
        ],
        generator_warmup=3,
        penalty="r1",
        ema=0.9,
    )
    gan.fit(x, c, batch_size=4, verbose=0)
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    names = ["reconstruction", "feature_matching", "brightness"]
    assert [term.name for term in copy.generator_terms] == names
    for model in (gan, copy):
        model.fit(x, c, batch_size=4, epochs=2, shuffle=False, verbose=0)
        logs = model.evaluate(x, c, verbose=0, return_dict=True)
    for a, b in zip(everything(gan), everything(copy)):
        np.testing.assert_array_equal(a, b)
    samples = gan.predict([np.tile(LATENT, (8, 1)), c], verbose=0)
    np.testing.assert_allclose(
        logs["reconstruction"], np.abs(samples - x).mean(), rtol=1e-5
    )


def test_critics_take_them(rng, data):
    x, c = data
    model = kmf.W1FE(
        conditional_network(rng, 2), conditional_network(rng, 1), seed=0
    )
    model.compile("sgd", "sgd", generator_terms="reconstruction", step_size=0.1)
    history = model.fit(x, c, batch_size=4, verbose=0).history
    assert history["reconstruction"][0] > 0


def mean_of_samples(samples, real, condition, features):
    return ops.mean(samples)


@pytest.mark.filterwarnings("ignore:.*not registered")
def test_what_is_refused(rng, data):
    x, _ = data
    with pytest.raises(ValueError, match="called 'reconstruction'"):
        make_gan(rng, [Reconstruction("l1"), Reconstruction("l2")])
    with pytest.raises(ValueError, match="that of another log"):
        make_gan(rng, Reconstruction(name="velocity_norm"))
    with pytest.raises(ValueError, match="Unknown `distance`: 'l3'"):
        Reconstruction("l3")
    with pytest.raises(ValueError, match="`weight` of FeatureMatching"):
        FeatureMatching(0.0)
    with pytest.raises(TypeError, match="`generator_terms` must be a list"):
        make_gan(rng, [1.0])
    with pytest.raises(ValueError, match="of which there are none"):
        make_gan(rng, None, generator_warmup=3)
    with pytest.raises(ValueError, match="Only one network can learn alone"):
        make_gan(rng, brightness, generator_warmup=3, discriminator_warmup=1)
    networks = (
        kmf.networks.mlp_generator(2, 2),
        kmf.networks.mlp_discriminator(2),
    )
    with pytest.raises(ValueError, match="has no conditions"):
        kmf.MonoFlowGAN(*networks).compile(
            "sgd", "sgd", generator_terms=FeatureMatching(paired=True)
        )
    linear = keras.Sequential([layers.Input((2,)), layers.Dense(1)])
    gan = kmf.MonoFlowGAN(networks[0], linear)
    gan.compile("sgd", "sgd", generator_terms="feature_matching")
    with pytest.raises(ValueError, match="No hidden layers"):
        gan.fit(x, verbose=0)
    gan.compile("sgd", "sgd", generator_terms=mean_of_samples)
    gan.fit(x, verbose=0)


@keras.saving.register_keras_serializable("tests")
def one_for_each(samples, real, condition, features):
    return ops.sum(samples**2, axis=1)


def test_a_term_of_each_sample_is_refused(rng, data):
    """Its gradient would be that of the sum, its log that of the mean."""
    gan = make_gan(rng, one_for_each)
    with pytest.raises(ValueError, match=r"'one_for_each'.*one number.*\("):
        gan.fit(*data, batch_size=8, verbose=0)


@pytest.mark.parametrize(
    "second",
    [
        lambda x: layers.Dense(8, "relu")(x),
        lambda x: layers.SpectralNormalization(layers.Dense(8, "relu"))(x),
        lambda x: ops.relu(layers.Dense(8)(x)),
        lambda x: ops.leaky_relu(layers.Dense(8)(x)),
        lambda x: keras.activations.gelu(layers.Dense(8)(x)),
        lambda x: ops.tanh(layers.Dense(8)(x)),
    ],
)
def test_every_way_to_write_an_activation(second):
    x = keras.Input((2,))
    h = layers.Dense(9, "relu")(x)
    network = keras.Model(x, layers.Dense(1)(second(h) * 2.0))
    found = hidden_layers(network, "discriminator").outputs
    assert [tuple(h.shape) for h in found] == [(None, 9), (None, 8)]
