import tracemalloc

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from keras_monoflow.metrics import PrecisionRecall, precision_recall

seeds = st.integers(0, 2**32 - 1)


def by_loop(real, generated, k):
    """Precision and recall, sample by sample."""

    def covered(rows, centres):
        radii = [
            np.sort(np.linalg.norm(centres - c, axis=1))[k] for c in centres
        ]
        return np.mean(
            [
                any(
                    np.linalg.norm(row - c) <= r for c, r in zip(centres, radii)
                )
                for row in rows
            ]
        )

    return covered(generated, real), covered(real, generated)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("block", [7, 1024])
def test_against_a_loop(rng, monkeypatch, k, block):
    monkeypatch.setattr(precision_recall, "_BLOCK", block)
    real = rng.normal(size=(60, 3))
    generated = 0.7 * rng.normal(size=(45, 3)) + 0.8
    precision, recall = by_loop(real, generated, k)
    assert 0 < precision < 1
    assert 0 < recall < 1
    details = PrecisionRecall(k=k).details(real, generated)
    assert details["precision"] == pytest.approx(precision, rel=1e-12)
    assert details["recall"] == pytest.approx(recall, rel=1e-12)
    f1 = 2 / (1 / precision + 1 / recall)
    assert details["f1"] == pytest.approx(f1, rel=1e-12)
    for which, value in details.items():
        assert PrecisionRecall(k=k, which=which)(real, generated) == value
    assert PrecisionRecall(k=k)(real, generated) == details["f1"]


@pytest.mark.parametrize("part", [False, True])
def test_against_torch_fidelity(torch_fidelity, rng, part):
    import torch
    from torch_fidelity import metric_prc

    real = rng.normal(size=(200, 6))
    generated = 0.8 * rng.normal(size=(150, 6)) + 0.5
    expected = metric_prc.prc_features_to_metric(
        torch.tensor(generated),
        torch.tensor(real),
        save_cpu_ram=part,
        verbose=False,
    )
    details = PrecisionRecall().details(real, generated)
    for ours, theirs in (
        ("precision", "precision"),
        ("recall", "recall"),
        ("f1", "f_score"),
    ):
        assert 0.1 < details[ours] < 1
        np.testing.assert_allclose(details[ours], expected[theirs], rtol=1e-6)


def test_by_hand():
    # Radii 1, 1, 2 around 0, 1, 3, and 4, 4 around -1, -5.
    real, generated = [[0.0], [1.0], [3.0]], [[-1.0], [-5.0]]
    details = PrecisionRecall(k=1).details(real, generated)
    # -1 is on the edge of the ball around 0; 0, 1 and 3 are in [-5, 3].
    assert details == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
    }


def test_rounding_does_not_open_the_closed_balls(rng):
    # Pairs far from each other, and mirror images on the edge of each ball.
    centres = 10.0 * rng.normal(size=(50, 30))
    others = centres + rng.normal(size=(50, 30))
    real = np.concatenate([centres, others])
    edge = 2.0 * centres - others
    assert PrecisionRecall(k=1, which="precision")(real, edge) == 1.0
    beyond = centres + (1 + 1e-6) * (centres - others)
    assert PrecisionRecall(k=1, which="precision")(real, beyond) == 0.0


def test_far_from_the_origin(rng):
    x, y = rng.normal(size=(60, 3)), rng.normal(size=(50, 3)) + 1.0
    details = PrecisionRecall().details(x, y)
    assert PrecisionRecall().details(x + 1e7, y + 1e7) == details


def test_no_overlap():
    x = np.arange(5.0)[:, None]
    details = PrecisionRecall().details(x, x + 100.0)
    assert details == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_equal_sets_and_repeated_samples(rng):
    x = rng.normal(size=(40, 5)) + 1e4
    assert PrecisionRecall(k=1)(x, x[::-1]) == 1.0
    # All radii are 0: the balls are the points.
    collapsed = np.repeat(x[:1], 10, axis=0)
    details = PrecisionRecall().details(x, collapsed)
    assert details["precision"] == 1.0
    assert details["recall"] == pytest.approx(1 / 40)


@hypothesis.settings(max_examples=20)
@hypothesis.given(
    seed=seeds, scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100)
)
def test_unchanged_by_scale_and_shift(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(15, 2)), rng.normal(size=(12, 2)) + 0.5
    details = PrecisionRecall(k=2).details(x, y)
    moved = PrecisionRecall(k=2).details(
        scale * (x + shift), scale * (y + shift)
    )
    assert moved == details
    swapped = PrecisionRecall(k=2).details(y, x)
    assert swapped["precision"] == details["recall"]


def test_memory_is_less_than_all_distances(rng, monkeypatch):
    monkeypatch.setattr(precision_recall, "_BLOCK", 64)
    x, y = rng.normal(size=(2, 1500, 2)).astype("float32")
    PrecisionRecall()(x[:9], y[:9])
    tracemalloc.start()
    PrecisionRecall()(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All distances in float64 would be 18 MB.
    assert peak < 1e6


def test_config(rng):
    metric = PrecisionRecall(None, 5, "recall", 32)
    assert metric.name == "recall"
    assert PrecisionRecall().name == "precision_recall"
    assert PrecisionRecall(which="recall", name="r").name == "r"
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"] == "keras_monoflow>PrecisionRecall"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == metric.get_config()
    assert PrecisionRecall.direction == "max"


def test_bad_arguments():
    with pytest.raises(ValueError, match="k=0"):
        PrecisionRecall(k=0)
    with pytest.raises(ValueError, match="which='f2'"):
        PrecisionRecall(which="f2")
    with pytest.raises(ValueError, match=r"`generated`.*k=3.*with 3"):
        PrecisionRecall()(np.eye(5), np.eye(3, 5))
