"""Augmentations against NumPy, with all random numbers given."""

import keras
import numpy as np
import pytest
from helpers import numpy
from keras import ops

from keras_monoflow import augmentation
from keras_monoflow.augmentation import AdaptiveAugment, DiffAugment
from keras_monoflow.backend import replicas
from keras_monoflow.gradients import input_gradient

HEIGHT, WIDTH = 16, 9


@pytest.fixture
def images(rng):
    return np.float32(rng.uniform(-1, 1, size=(6, HEIGHT, WIDTH, 3)))


@pytest.fixture
def numbers(rng, monkeypatch):
    """Gives the numbers that are drawn; the first decides who is changed."""

    def give(u):
        monkeypatch.setattr(
            replicas,
            "draw",
            lambda f, shape, dtype, seed: ops.convert_to_tensor(np.float32(u)),
        )
        return u

    return lambda n: give(rng.uniform(size=(6, n)))


def color(x, a, b, c):
    x = x + a - 0.5
    mean = x.mean(-1, keepdims=True)
    x = (x - mean) * 2 * b + mean
    return (x - x.mean()) * (c + 0.5) + x.mean()


def translation(x, a, b):
    moved = np.zeros_like(x)
    shifts = [
        int(np.floor(u * (2 * most + 1))) - most for u, most in ((a, 2), (b, 1))
    ]
    for i in range(HEIGHT):
        for j in range(WIDTH):
            k, l = i + shifts[0], j + shifts[1]  # noqa: E741
            if 0 <= k < HEIGHT and 0 <= l < WIDTH:
                moved[i, j] = x[k, l]
    return moved


def cutout(x, a, b):
    # Half of 16 is 8; half of 9 is 5, which is odd.
    rows = int(np.floor(a * 17)) - 4 + np.arange(8)
    columns = int(np.floor(b * 9)) - 2 + np.arange(5)
    x = x.copy()
    for i in rows[(rows >= 0) & (rows < HEIGHT)]:
        x[i, columns[(columns >= 0) & (columns < WIDTH)]] = 0
    return x


CHANGES = {
    "color": (color, 3),
    "translation": (translation, 2),
    "cutout": (cutout, 2),
}


@pytest.mark.parametrize("probability", [1.0, 0.5])
@pytest.mark.parametrize("name", CHANGES)
def test_each_change(name, probability, images, numbers):
    change, n = CHANGES[name]
    u = numbers(n + 1)
    found = numpy(DiffAugment(name, probability)(images))
    expected = [
        change(x, *row) if decides < probability else x
        for x, (decides, *row) in zip(images, u)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert (found != images).any()


def test_changes_follow_each_other(images, numbers):
    u = numbers(10)
    found = numpy(DiffAugment("color, translation,cutout")(images))
    for x, row, new in zip(images, u, found):
        x = color(x, *row[1:4])
        x = cutout(translation(x, *row[5:7]), *row[8:10])
        np.testing.assert_allclose(new, x, rtol=1e-4, atol=1e-5)


def test_channels_first(images):
    expected = numpy(DiffAugment()(images, seed=3))
    keras.config.set_image_data_format("channels_first")
    try:
        found = DiffAugment()(images.transpose(0, 3, 1, 2), seed=3)
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_allclose(
        numpy(found).transpose(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6
    )


def test_channels_on_the_wrong_side_are_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        DiffAugment().check((3, 8, 8))
        with pytest.raises(ValueError, match="channels last"):
            DiffAugment().check((8, 8, 3))
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("dtype", ["bfloat16", "uint8"])
def test_images_of_any_type(rng, dtype):
    """In bfloat16, rows beyond 256 would be counted wrongly."""
    images = ops.convert_to_tensor(rng.integers(0, 2, size=(2, 512, 4, 1)))
    augment = DiffAugment("translation,cutout")
    found, expected = (
        augment(ops.cast(images, of), seed=1) for of in (dtype, "float32")
    )
    np.testing.assert_array_equal(numpy(found), numpy(expected))


def test_all_places_are_as_probable(rng):
    images = np.ones((4000, 8, 8, 1), "float32")
    moved = numpy(DiffAugment("translation")(images, seed=0))
    # The first row is empty after a third of the shifts by -1, 0 and 1.
    empty = (moved[:, 0].reshape(4000, -1) == 0).all(1).mean()
    np.testing.assert_allclose(empty, 1 / 3, atol=0.03)
    holes = numpy(DiffAugment("cutout")(images, seed=0)) == 0
    # The hole covers 4 rows of 8, but for the ends: centers from 0 to 8.
    np.testing.assert_allclose(holes[:, 3, 3].mean(), (4 / 9) ** 2, atol=0.03)


@pytest.mark.parametrize("name", CHANGES)
def test_the_gradient_goes_through(name, images):
    augment = DiffAugment(name, 0.7)
    rng = np.random.default_rng(1)
    weights = ops.convert_to_tensor(np.float32(rng.normal(size=images.shape)))

    def loss(x):
        changed = augment(x, seed=5)
        return ops.sum(changed**2 * weights, axis=(1, 2, 3))

    gradient = numpy(input_gradient(loss, ops.convert_to_tensor(images)))
    for _ in range(3):
        direction = np.float32(rng.normal(size=images.shape))
        values = [
            float(numpy(ops.sum(loss(images + e * direction))))
            for e in (1e-2, -1e-2)
        ]
        slope = (values[0] - values[1]) / 2e-2
        np.testing.assert_allclose(
            (gradient * direction).sum(), slope, rtol=2e-2, atol=0.3
        )


def test_the_strength_follows_the_signs():
    augment = AdaptiveAugment(target=0.5, every=2, ramp=100, start=0.1)
    state, p = augment.make_state(), 0.1
    outputs = [
        ([1, 2, 3, 4], [5, 1, 1, -1]),  # signs: .75 on average
        ([-1, 2, -3, 4], [5, -1, 1, -1]),  # 0
        ([1, 2, 3, 4], [5, 1, 1, 1]),  # 1
        ([-1, -2, -3], [-5, -1, -1]),  # -1, of six
    ]
    for (first, second), direction in zip(outputs, [1, -1, 1, -1]):
        augment.update(state, np.float32(first))
        np.testing.assert_allclose(float(numpy(state.probability)), p)
        augment.update(state, np.float32(second)[:, None])
        p = min(max(p + direction * (len(first) + len(second)) / 100, 0), 1)
        p = np.float32(p)
        found = augment.probability_at(0, state)
        np.testing.assert_allclose(float(numpy(found)), p, rtol=1e-5)
    for _ in range(40):
        augment.update(state, np.float32([-1.0] * 10))
    assert float(numpy(state.probability)) == 0


class Own(augmentation.Augment):
    """As a user may write one for points."""

    def change(self, x, probability, seed):
        return x + probability


class WithState(Own):
    def make_state(self):
        return keras.layers.Dense(1)


def test_an_own_augment_adapts():
    augment = AdaptiveAugment(Own(), every=1, ramp=100, start=0.5)
    augment.check((2,))
    state, x = augment.make_state(), ops.convert_to_tensor([[1.0, -2.0]])
    augment.update(state, np.ones(10, "float32"))
    changed = augment.change(x, augment.probability_at(1, state), seed=0)
    np.testing.assert_allclose(numpy(changed), [[1.6, -1.4]], rtol=1e-5)


def test_names_and_configurations():
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 10)
    for augment in (
        DiffAugment("cutout", schedule),
        AdaptiveAugment(DiffAugment("color"), 0.4, 8, 1000, 0.2),
        augmentation.get(keras.layers.GaussianNoise(0.1)),
        augmentation.get("ada"),
        augmentation.get("DiffAugment"),
    ):
        config = keras.saving.serialize_keras_object(augment)
        copy = augmentation.get(config)
        assert keras.saving.serialize_keras_object(copy) == config
    assert augmentation.get(None) is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: augmentation.get("diff"), ValueError, "Unknown `augment`"),
        (lambda: augmentation.get(3), TypeError, "augment=3"),
        (lambda: DiffAugment("colour"), ValueError, "Did you mean 'color'"),
        (lambda: DiffAugment([]), ValueError, "at least one of"),
        (lambda: DiffAugment(probability=2), ValueError, "`probability`"),
        (lambda: AdaptiveAugment(target=1), ValueError, "`target`"),
        (lambda: AdaptiveAugment(every=0), ValueError, "`every`"),
        (lambda: AdaptiveAugment("cutout"), TypeError, "DiffAugment"),
        (
            lambda: AdaptiveAugment(AdaptiveAugment()),
            TypeError,
            "heeds its probability",
        ),
        (
            lambda: AdaptiveAugment(augmentation.get(lambda x, seed: x)),
            TypeError,
            "heeds its probability",
        ),
        (lambda: AdaptiveAugment(WithState()), TypeError, "without a state"),
        (
            lambda: AdaptiveAugment(DiffAugment(probability=0.3)),
            ValueError,
            "`start`",
        ),
        (lambda: DiffAugment([1]), TypeError, "policy=1"),
        (lambda: DiffAugment().check((2,)), ValueError, r"shape \(2,\)"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
