"""Large batches are looked at in blocks of rows, with the same result."""

import keras
import numpy as np
import pytest
from helpers import numpy
from keras import ops

from keras_monoflow import velocities
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.velocities import pairs

#: Names, and arguments beside the rows.
NAMES = sorted(VELOCITIES.makers)
WITH_LABELS = [n for n in NAMES if velocities.get(n).takes_labels]


@pytest.fixture
def batch(rng):
    """Rows of three classes, which overlap, and the labels of each kind."""
    y, other = np.float32(rng.normal(size=(2, 23, 3)))
    x = np.float32(rng.normal(size=(20, 3))) + 1.0
    return y, x, other, np.arange(23) % 3, np.arange(20) % 3


def both_ways(velocity, monkeypatch, *rows, **arguments):
    """Velocities and logs of all rows at once, and of blocks of `size`."""
    results = []
    for most in (10**6, 5 * 43):  # Blocks of 5 rows; the last has 3.
        monkeypatch.setattr(pairs, "MOST_PAIRS", most)
        asked = velocity.pairs(*rows, **arguments, seed=0)
        velocity_of, logs = velocity.with_logs(asked, seed=0)
        results.append((numpy(velocity_of), [numpy(v) for v in logs.values()]))
    return results


def check_equal(whole, blocks):
    for a, b in zip((whole[0], *whole[1]), (blocks[0], *blocks[1])):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_give_what_all_rows_give(name, alone, batch, monkeypatch):
    y, x, other, *_ = batch
    velocity = velocities.get(name) + 0.5 * velocities.get(name)
    rows = (y, x, None if alone else other)
    check_equal(*both_ways(velocity, monkeypatch, *rows))


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("name", WITH_LABELS)
def test_blocks_know_labels_and_guidance(name, alone, batch, monkeypatch):
    y, x, other, of_y, of_x = batch
    velocity = velocities.get(name)
    guided = {"guidance": (1.0, 4.0)} if velocity.takes_guidance else {}
    rows = (y, x, None if alone else other, of_y, of_x)
    check_equal(*both_ways(velocity, monkeypatch, *rows, **guided))


def test_blocks_know_rows_without_neighbors(batch, monkeypatch):
    y, x, other, of_y, of_x = batch
    for name in WITH_LABELS:
        rows = (y, x, other, ops.convert_to_tensor(of_y), np.minimum(of_x, 1))
        whole, blocks = both_ways(velocities.get(name), monkeypatch, *rows)
        assert np.isfinite(whole[0]).all()
        check_equal(whole, blocks)


@pytest.mark.parametrize("name", NAMES)
def test_no_block_has_more_pairs_than_allowed(name, batch, monkeypatch):
    y, x, other, *_ = batch
    seen = []
    neighbors = pairs.Pairs.neighbors

    def spy(self, rows=None):
        sides = neighbors(self, rows)
        count = sum(s.points.shape[0] for s in sides)
        seen.append(sides[0].y.shape[0] * count)
        return sides

    monkeypatch.setattr(pairs.Pairs, "neighbors", spy)
    monkeypatch.setattr(pairs, "MOST_PAIRS", 5 * 43)
    velocity = velocities.get(name)
    numpy(velocity(y, x, other, seed=0))
    assert seen or name == "sliced"
    assert all(count <= 5 * 43 for count in seen if count)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="sizes are known elsewhere"
)
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", [n for n in NAMES if n != "sliced"])
def test_a_batch_whose_size_is_not_known_before(
    name, jit_compile, batch, monkeypatch
):
    import tensorflow as tf

    y, x, other, *_ = batch
    velocity = velocities.get(name)
    sizes = []

    def compiled(y, x, other):
        sizes.append(y.shape[0])
        return velocity(y, x, other, seed=0)

    rows = [tf.TensorSpec((None, 3))] * 3
    program = tf.function(compiled, rows, jit_compile=jit_compile)
    whole = numpy(velocity(y, x, other, seed=0))
    monkeypatch.setattr(pairs, "MOST_PAIRS", 5 * 43)
    np.testing.assert_allclose(
        numpy(program(y, x, other)), whole, rtol=1e-4, atol=1e-5
    )
    few = [rows[:2] for rows in (y, x, other)]
    np.testing.assert_allclose(
        numpy(program(*few)),
        numpy(velocity(*few, seed=0)),
        rtol=1e-4,
        atol=1e-5,
    )
    assert set(sizes) == {None}


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="JAX can say what it will take"
)
@pytest.mark.parametrize("name", ["kernel_ratio", "sinkhorn", "drifting"])
def test_memory_is_bounded(name, monkeypatch):
    import jax

    def taken(most):
        monkeypatch.setattr(pairs, "MOST_PAIRS", most)
        program = jax.jit(lambda *rows: velocities.get(name)(*rows, seed=0))
        rows = [jax.ShapeDtypeStruct((4096, 2), "float32")] * 3
        analysis = program.lower(*rows).compile().memory_analysis()
        return analysis.temp_size_in_bytes

    assert taken(2**14) < taken(2**18) < taken(2**60) / 64
