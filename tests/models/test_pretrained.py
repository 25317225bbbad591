"""The models that come with the package load, and are what their cards say."""

import hashlib

import keras
import numpy as np
import pytest

import keras_monoflow as kmf
from keras_monoflow.models import pretrained

NAMES = ["ring", "digits_gan", "digits_one_step"]


def test_there_is_a_card_for_each():
    assert list(kmf.models.pretrained_cards()) == NAMES
    files = {f.name for f in pretrained.FILES.iterdir()}
    assert files == {"cards.json", *(f"{name}.keras" for name in NAMES)}


@pytest.mark.parametrize("name", NAMES)
def test_file_is_small_and_as_its_card_says(name):
    content = (pretrained.FILES / f"{name}.keras").read_bytes()
    assert len(content) < 1_000_000
    card = kmf.models.pretrained_cards()[name]
    assert hashlib.sha256(content).hexdigest() == card["sha256"]


def test_ring_is_as_near_as_its_card_says():
    ot = pytest.importorskip("ot")
    model = kmf.models.load_pretrained("ring")
    assert isinstance(model, kmf.W1FE)
    real = kmf.datasets.gaussian_ring(1000, seed=1).astype("float64")
    samples = model.sample(1000, seed=0).astype("float64")
    weights = np.full(1000, 1e-3)
    found = ot.emd2(weights, weights, ot.dist(real, samples, "euclidean"))
    said = kmf.models.pretrained_cards()["ring"]["metrics"]["exact W1"]
    # (Other backends draw other noise.)
    np.testing.assert_allclose(found, said, atol=0.05)


@pytest.mark.parametrize("name", NAMES[1:])
def test_digits_are_as_near_as_their_card_says(name):
    datasets = pytest.importorskip("sklearn.datasets")
    linalg = pytest.importorskip("scipy.linalg")
    model = kmf.models.load_pretrained(name)
    images = datasets.load_digits().data / 8.0 - 1.0
    test = images[np.random.default_rng(0).permutation(len(images))][-500:]
    samples = model.sample(1000, seed=0).reshape(1000, -1).astype("float64")
    (m, a), (n, b) = (
        (x.mean(axis=0), np.cov(x, rowvar=False)) for x in (test, samples)
    )
    root = linalg.sqrtm(a @ b).real
    found = np.sum((m - n) ** 2) + np.trace(a + b - 2 * root)
    metrics = kmf.models.pretrained_cards()[name]["metrics"]
    said = metrics["Fréchet distance of pixels to 500 test digits"]
    np.testing.assert_allclose(found, said, atol=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on(name):
    model = kmf.models.load_pretrained(name)
    shape = model.sample(1, seed=0).shape[1:]
    before = [np.array(w) for w in model.generator.get_weights()]
    x = np.random.default_rng(0).uniform(-1, 1, (64, *shape))
    model.fit(x.astype("float32"), batch_size=32, verbose=0)
    changed = [
        not np.array_equal(w, v)
        for w, v in zip(model.generator.get_weights(), before)
    ]
    assert any(changed)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"'digits_gan'.* name='digits'"):
        kmf.models.load_pretrained("digits")


def test_damaged_files_are_refused(monkeypatch, tmp_path):
    for file in pretrained.FILES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "ring.keras").write_bytes(b"damaged")
    monkeypatch.setattr(pretrained, "FILES", tmp_path)
    with pytest.raises(ValueError, match="SHA-256"):
        kmf.models.load_pretrained("ring")
    assert isinstance(kmf.models.load_pretrained("digits_gan"), keras.Model)
