import keras
import numpy as np
import pytest
from helpers import numpy
from keras import layers, ops

from keras_monoflow import gradients


def test_value_and_grad_of_a_quadratic():
    w = keras.Variable([1.0, -2.0])
    loss, (gradient,) = gradients.value_and_grad(lambda: ops.sum(w**2), [w])
    assert float(loss) == 5.0
    np.testing.assert_allclose(numpy(gradient), [2.0, -4.0])


def test_value_and_grad_keeps_assignments_and_zeroes_unconnected():
    w, unused = keras.Variable(3.0), keras.Variable([1.0, 1.0])
    count = keras.Variable(0.0, trainable=False)

    def loss_fn():
        count.assign_add(w.value)
        return w**2

    _, (g, g_unused) = gradients.value_and_grad(loss_fn, [w, unused])
    assert float(g) == 6.0
    np.testing.assert_array_equal(numpy(g_unused), [0.0, 0.0])
    assert float(numpy(count.value)) == 3.0


def test_pullback_is_the_vector_jacobian_product(rng):
    kernel = keras.Variable(rng.normal(size=(3, 2)).astype("float32"))
    z = rng.normal(size=(5, 3)).astype("float32")
    cotangent = rng.normal(size=(5, 2)).astype("float32")
    outputs, pullback = gradients.value_and_pullback(
        lambda: ops.matmul(z, kernel), [kernel]
    )
    (product,) = pullback(ops.convert_to_tensor(cotangent))
    np.testing.assert_allclose(numpy(outputs), z @ numpy(kernel), rtol=1e-5)
    np.testing.assert_allclose(numpy(product), z.T @ cotangent, rtol=1e-5)


def test_input_gradient_and_its_derivative():
    # f(x) = w x^3, so grad = 3 w x^2 and d/dw sum(grad^2) = 18 w sum(x^4).
    w = keras.Variable(2.0)
    x = np.array([1.0, -2.0, 0.5], "float32")

    def loss_fn():
        gradient = gradients.input_gradient(lambda v: w * v**3, x)
        return ops.sum(gradient**2)

    loss, (derivative,) = gradients.value_and_grad(loss_fn, [w])
    np.testing.assert_allclose(float(loss), np.sum((6 * x**2) ** 2), rtol=1e-6)
    np.testing.assert_allclose(
        float(derivative), 18 * 2 * np.sum(x**4), rtol=1e-6
    )


def test_input_gradient_keeps_assignments_made_inside():
    count = keras.Variable(0.0, trainable=False)

    def fn(x):
        count.assign_add(1.0)
        return ops.sum(x**2, axis=-1)

    gradients.input_gradient(fn, np.ones((2, 2), "float32"))
    assert float(numpy(count.value)) == 1.0


def test_discard_updates_freezes_batch_norm(rng):
    layer = layers.BatchNormalization()
    x = rng.normal(2.0, size=(16, 3)).astype("float32")
    layer.build(x.shape)
    before = numpy(layer.moving_mean).copy()
    frozen = gradients.discard_updates(layer)(x, training=True)
    np.testing.assert_array_equal(numpy(layer.moving_mean), before)
    # It did run in training mode: its output has batch statistics.
    np.testing.assert_allclose(numpy(frozen).mean(0), 0.0, atol=1e-5)
    layer(x, training=True)
    assert np.abs(numpy(layer.moving_mean) - before).max() > 0


class _Looped(keras.Model):
    """Regression steps in a loop, with every kind of state a step can have."""

    def __init__(self, steps, unroll):
        super().__init__()
        self.steps, self.unroll = steps, unroll
        self.network = keras.Sequential(
            [
                layers.Input((4,)),
                # No bias: batch norm makes its gradient pure rounding noise.
                layers.Dense(8, kernel_initializer="ones", use_bias=False),
                layers.BatchNormalization(),
                layers.Dropout(0.5, seed=3),
                layers.Dense(1, kernel_initializer="ones"),
            ]
        )
        self.noise = keras.random.SeedGenerator(7)
        self.tracker = keras.metrics.Mean(name="loss")
        self.built = True

    @property
    def metrics(self):
        return [self.tracker]

    def call(self, x):
        return self.network(x)

    def step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)

        def loss_fn(i):
            noise = keras.random.normal(ops.shape(x), seed=self.noise)
            scale = ops.cast(i, "float32") + 1.0
            output = self.network(x + 0.1 * scale * noise, training=True)
            loss = ops.mean((y - ops.cast(output, "float32")) ** 2)
            self.tracker.update_state(loss)
            return self.optimizer.scale_loss(loss)

        def body(i):
            _, grads = gradients.value_and_grad(
                lambda: loss_fn(i), self.network.trainable_variables
            )
            gradients.apply_gradients(
                self.optimizer, grads, self.network.trainable_variables
            )

        gradients.repeat(self.steps, body, unroll=self.unroll)
        return {"loss": self.tracker.result()}

    def train_step(self, *arguments):
        return gradients.train_step(self, self.step, arguments)


def run_loop(unroll, policy, rng, steps, **compile_arguments):
    keras.config.set_dtype_policy(policy)
    x = rng.normal(size=(16, 4)).astype("float32")
    y = rng.normal(size=(16, 1)).astype("float32")
    model = _Looped(steps, unroll)
    optimizer = keras.optimizers.Adam(0.01)
    if policy == "mixed_float16":
        # Doubles every third step and starts so high that the first overflow.
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=2.0**17, dynamic_growth_steps=3
        )
    optimizer.build(model.network.trainable_variables)
    model.compile(optimizer, **compile_arguments)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, shuffle=False)
    return {
        v.path: numpy(v.value)
        for v in model.variables + optimizer.variables + [model.noise.state]
    }


def both_ways(policy, steps=6):
    looped = run_loop(False, policy, np.random.default_rng(1), steps)
    keras.utils.clear_session()
    unrolled = run_loop(True, policy, np.random.default_rng(1), steps)
    assert len(looped) == len(unrolled)
    return [(k, v, w) for (k, v), w in zip(looped.items(), unrolled.values())]


@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        ("float32", 6),
        pytest.param("mixed_float16", 6, marks=pytest.mark.slow),
        pytest.param("float32", 5, marks=pytest.mark.slow),
    ],
)
def test_loop_equals_unrolled(policy, steps):
    states = both_ways(policy, steps)
    # XLA fuses a loop's body otherwise than the unrolled code, which moves
    # last bits on JAX; the next test is exact there as well.
    exact = keras.backend.backend() != "jax"
    for name, value, expected in states:
        assert value.dtype == expected.dtype, name
        if exact or value.dtype.kind != "f":
            np.testing.assert_array_equal(value, expected, err_msg=name)
        else:
            np.testing.assert_allclose(
                value, expected, rtol=1e-5, atol=1e-6, err_msg=name
            )
    # The loop really ran: each of two rounds advanced seeds and optimizer.
    iterations = [v for k, v, _ in states if "iteration" in k]
    assert any(int(v) > 0 for v in iterations)
    seeds = [v for k, v, _ in states if "seed" in k]
    assert all(int(v[1]) == 2 * steps for v in seeds)
    if policy == "mixed_float16":
        (scale,) = (v for k, v, _ in states if "dynamic_scale" in k)
        assert float(scale) != 2.0**17


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_loop_equals_unrolled_bit_for_bit_without_fusion(policy):
    if keras.backend.backend() != "jax":
        pytest.skip("compared exactly by the test above")
    import jax

    with jax.disable_jit():
        for name, value, expected in both_ways(policy):
            np.testing.assert_array_equal(value, expected, err_msg=name)


def test_loop_must_not_assign_foreign_variables(rng):
    if keras.backend.backend() != "jax":
        pytest.skip("only JAX needs every variable to be known to the step")
    foreign = keras.Variable(0.0, name="foreign")

    class Model(_Looped):
        def step(self, data):
            gradients.repeat(3, lambda i: foreign.assign_add(1.0))
            return super().step(data)

    model = Model(2, False)
    model.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(RuntimeError, match="foreign"):
        model.fit(np.ones((4, 4)), np.ones((4, 1)), verbose=0)
