"""The step that `fit` runs gives what the step itself gives."""

import shutil
import warnings

import keras
import numpy as np
import pytest
from helpers import ROLES, make_flow, make_gan, make_networks, make_uncompiled
from keras import layers, ops

import keras_monoflow as kmf

BACKEND = keras.backend.backend()
only_torch = pytest.mark.skipif(
    BACKEND != "torch", reason="only PyTorch replays operations"
)

always_recorded = pytest.mark.filterwarnings("error:.*cannot be recorded")

OPTIMIZERS = ["Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl"]
OPTIMIZERS += ["Lamb", "Lion", "RMSprop", "SGD"]
READING_OPTIMIZERS = ["Adadelta", "Nadam"]


def everything(model):
    """Weights, optimizer slots and seeds as arrays."""
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


def assert_same(one, other):
    # PyTorch replays the very operations; compilers of others fuse them.
    tolerance = {"rtol": 0, "atol": 0}
    if BACKEND != "torch":
        tolerance = {"rtol": 1e-4, "atol": 1e-6}
    for a, b in zip(everything(one), everything(other), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def train(flow, data, batch_size=20, **trainer):
    """Three rounds alone, then more, the last of each epoch smaller."""
    keras.utils.set_random_seed(3)
    model = make_uncompiled(flow, batch_norm=True, dropout=0.3)
    shared = {"step_size": 0.1}
    if ROLES[flow] is None:
        shared["velocity"] = "kernel_ratio"
    else:
        shared |= {
            f"{ROLES[flow]}_steps": 2,
            f"{ROLES[flow]}_warmup": 3,
            f"{ROLES[flow]}_optimizer": keras.optimizers.Adam(1e-2),
        }
    if not flow.endswith("particles"):
        shared.update(
            generator_optimizer=keras.optimizers.SGD(0.1, momentum=0.5),
            persistency=3,
            ema=0.9,
        )
    if flow in ("monoflow", "w1fe"):
        shared["penalty"] = kmf.penalties.GradientPenalty()
    model.compile(**shared, **trainer)
    history = model.fit(
        data, batch_size=batch_size, epochs=4, verbose=0, shuffle=False
    )
    return model, history.history


@only_torch  # see test_compiled_and_eager_agree for all backends
@pytest.mark.parametrize("flow", ROLES)
def test_what_fit_runs_is_the_step(flow, data):
    one, logs = train(flow, data, run_eagerly=True)
    other, compiled_logs = train(flow, data)
    assert_same(one, other)
    assert logs.keys() == compiled_logs.keys()
    for name in logs:
        np.testing.assert_allclose(
            logs[name], compiled_logs[name], rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="Keras runs single steps there")
@pytest.mark.parametrize(
    ("batch_size", "together"),
    [(16, 2), (20, 2), (20, 3)],
)
def test_steps_in_one_program_with_a_rest(data, batch_size, together):
    """Batches of 16, or of 20 and a last one of 4."""
    assert len(data) == 64
    one, logs = train("w1fe", data, batch_size)
    other, fused_logs = train(
        "w1fe", data, batch_size, steps_per_execution=together
    )
    assert_same(one, other)
    assert logs.keys() == fused_logs.keys()
    for name in logs:
        np.testing.assert_allclose(
            logs[name], fused_logs[name], rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="Keras runs single steps there")
def test_callbacks_see_the_last_of_several_steps(data):
    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen[self.model.steps_per_execution].append(logs)

    seen = {1: [], 2: []}
    for together in seen:
        keras.utils.set_random_seed(3)
        gan = make_gan(steps_per_execution=together)
        gan.fit(
            data, batch_size=16, verbose=0, shuffle=False, callbacks=[Look()]
        )
    for log, expected in zip(seen[2], seen[1][1::2], strict=True):
        assert log == pytest.approx(expected, rel=1e-4)


@pytest.mark.skipif(BACKEND != "jax", reason="Keras fuses them elsewhere")
def test_jax_calls_one_program_for_several_steps(data):
    gan = make_gan(steps_per_execution=4)
    traced = []
    step = gan._train_on
    gan._train_on = lambda batch: traced.append(batch) or step(batch)
    gan.fit(data, batch_size=8, epochs=3, verbose=0)
    assert len(traced) == 1  # and not once for each of the single steps


def program_of(model, batch):
    import jax

    if jax.default_backend() != "cpu":
        pytest.skip("loops are as fast elsewhere")
    groups = ("trainable", "non_trainable", "optimizer", "metrics")
    state = model._get_jax_state(**{f"{g}_variables": True for g in groups})
    return str(jax.make_jaxpr(model.train_step)(state, (batch,)))


def has_loop(program):
    return "while[" in program or "scan[" in program


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="others have no such loops")
@pytest.mark.parametrize("warmup", [0, 2])
def test_convolutions_are_in_no_loop_on_a_cpu(warmup, rng):
    """Where XLA lays out memory so that they are ten times slower."""
    size = {"image_shape": (8, 8, 1), "filters": 2, "stages": 2}
    model = kmf.W1FE(
        kmf.networks.dcgan_generator(latent_dim=2, **size),
        kmf.networks.dcgan_discriminator(**size),
    )
    model.compile(
        keras.optimizers.Adam(),
        keras.optimizers.Adam(),
        critic_steps=6,
        critic_warmup=warmup,
        persistency=8,
    )
    images = rng.uniform(-1, 1, size=(4, 8, 8, 1)).astype("float32")
    program = program_of(model, images)
    assert "conv_general_dilated" in program
    assert not has_loop(program)
    assert "cond[" not in program


@pytest.mark.skipif(BACKEND != "jax", reason="others have no such loops")
@pytest.mark.parametrize("steps", [5, 6])
def test_only_few_steps_are_unrolled_on_a_cpu(steps, rng):
    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2), kmf.networks.mlp_discriminator(2)
    )
    model.compile(
        keras.optimizers.Adam(), keras.optimizers.Adam(), critic_steps=steps
    )
    program = program_of(model, rng.normal(size=(4, 2)).astype("float32"))
    assert has_loop(program) == (steps > 5)


@pytest.mark.skipif(BACKEND != "jax", reason="the code of JAX alone")
def test_conditions_with_convolutions_hold(rng):
    """Rounds of a warm-up leave the generator, and all after it do not."""
    size = {"image_shape": (8, 8, 1), "filters": 2, "stages": 2}
    model = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(latent_dim=2, **size),
        kmf.networks.dcgan_discriminator(**size),
    )
    model.compile(
        keras.optimizers.Adam(), keras.optimizers.Adam(), discriminator_warmup=2
    )
    images = rng.uniform(-1, 1, size=(4, 8, 8, 1)).astype("float32")
    # Batch statistics move, as the critic sees samples.
    kernel = model.generator.trainable_variables[0]
    before = np.array(kernel)
    for moved in (False, False, True):
        model.fit(images, verbose=0)
        assert (np.array(kernel) != before).any() == moved
    assert model.optimizer.generator.iterations == 1


class Counts(layers.Layer):
    """Counts how often Python calls it."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


def gan_with(layer, **compile_arguments):
    """A model whose networks share the layer."""
    generator, discriminator = (
        keras.Sequential(
            [layers.Input((2,)), layers.Dense(4, "tanh"), layer, end]
        )
        for end in (layers.Dense(2), layers.Dense(1))
    )
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=1)
    gan.compile(
        keras.optimizers.Adam(1e-2),
        keras.optimizers.Adam(1e-2),
        **compile_arguments,
    )
    return gan


@only_torch
def test_a_step_is_recorded_once_for_each_shape(data):
    layer = Counts()
    gan = gan_with(layer)
    gan.fit(data[:40], batch_size=20, verbose=0)
    calls = layer.calls
    gan.fit(data[:40], batch_size=20, epochs=3, verbose=0)
    assert layer.calls == calls
    gan.fit(data, batch_size=32, verbose=0)
    assert layer.calls > calls


class FillsACache(layers.Layer):
    """Computes a table when it is first called."""

    table = None

    def call(self, x):
        if x.device.type == "meta":  # Keras looks for the shape
            return x
        if self.table is None:
            self.table = 2 * ops.arange(1, x.shape[-1] + 1, dtype=x.dtype)
        return x * self.table


def assert_fit_is_eager(make, data, **arguments):
    """Trains what `make` makes eagerly and not, from the same weights."""
    one, other = (
        make(run_eagerly=eager, **arguments) for eager in (True, False)
    )
    other.set_weights(one.get_weights())
    for gan in (one, other):
        gan.fit(data, batch_size=20, verbose=0, shuffle=False)
    assert_same(one, other)


@only_torch
@always_recorded
def test_a_layer_may_fill_a_cache(data):
    def make(**arguments):
        return gan_with(FillsACache(), **arguments)

    assert_fit_is_eager(
        make, data[:40], step_size=0.1, persistency=3, discriminator_steps=3
    )


@only_torch
@pytest.mark.parametrize("name", [*OPTIMIZERS, *READING_OPTIMIZERS])
def test_every_optimizer_gives_the_same(name, data):
    def make(**arguments):
        optimizer = getattr(keras.optimizers, name)(0.01)
        return make_gan(discriminator_optimizer=optimizer, **arguments)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert_fit_is_eager(make, data[:60], discriminator_steps=3)
    is_recorded = not any(
        "cannot be recorded" in str(w.message) for w in caught
    )
    assert is_recorded == (name in OPTIMIZERS)


class Remembers(layers.Dense):
    """Adds the mean of the kernel that it had a step before."""

    def build(self, shape):
        super().build(shape)
        self.old = self.add_weight(self.kernel.shape, "zeros", trainable=False)

    def call(self, x, training=False):
        outputs = super().call(x) + ops.mean(self.old)
        if training:
            self.old.assign(self.kernel)
        return outputs


@only_torch
@always_recorded
def test_a_layer_may_keep_its_weights(data):
    def make(**arguments):
        return gan_with(Remembers(4), **arguments)

    assert_fit_is_eager(make, data[:40], discriminator_steps=3)


@only_torch
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a compiler of C++")
@pytest.mark.parametrize(
    "steps",
    [
        {"discriminator_steps": 1},  # in one piece
        pytest.param(
            {"discriminator_steps": 7, "persistency": 9},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_torch_compile_gives_the_same(steps, data):
    one, other = (
        make_gan(jit_compile=jit, step_size=0.1, **steps)
        for jit in (False, True)
    )
    other.set_weights(one.get_weights())
    for gan in (one, other):
        gan.fit(data, batch_size=16, verbose=0, shuffle=False)
    for a, b in zip(everything(one), everything(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class ReadsValues(layers.Layer):
    """Decides in Python, by a value that only the device knows."""

    def call(self, x):
        return x if float(ops.sum(ops.abs(x))) > 0 else 2 * x


@only_torch
def test_a_step_that_cannot_be_recorded_runs_and_warns(data):
    gan = gan_with(ReadsValues())
    before = gan.generator.get_weights()
    with pytest.warns(UserWarning, match="cannot be recorded") as caught:
        gan.fit(data, batch_size=25, verbose=0)  # the last batch is smaller
    messages = [str(w.message) for w in caught]
    (message,) = [m for m in messages if "cannot be recorded" in m]
    assert "ReadsValues" in message
    assert "It reads the value of a tensor: use" in message
    assert "compile with `run_eagerly=True`" in message
    assert "\n" not in message
    assert "\x1b" not in message
    assert np.abs(gan.generator.get_weights()[0] - before[0]).max() > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gan.fit(data, batch_size=32, verbose=0)  # once is enough


@only_torch
def test_a_failed_recording_leaves_nothing_behind(data):
    from keras.src.backend.torch import random as keras_torch_random

    from keras_monoflow.backend.torch import program

    make_generator = keras_torch_random.torch_seed_generator
    optimizer = keras.optimizers.SGD(0.1)
    gan = gan_with(ReadsValues())
    gan.compile(keras.optimizers.SGD(0.1), optimizer)
    with pytest.warns(UserWarning, match="cannot be recorded"):
        gan.fit(data, batch_size=32, verbose=0)
    assert "_backend_update_step" not in vars(optimizer)
    assert keras_torch_random.torch_seed_generator is make_generator
    assert program.recording is None


@only_torch
@pytest.mark.filterwarnings("ignore:.*cannot be recorded")
def test_a_failed_recording_is_the_step_itself(data):
    assert_fit_is_eager(
        lambda **arguments: gan_with(ReadsValues(), **arguments), data[:20]
    )


class OwnStep(kmf.MonoFlowGAN):
    """A step that calls `backward`, as others on PyTorch do."""

    def train_step(self, data):
        logs = super().train_step(data)
        weight = self.generator.trainable_variables[0].value
        (weight**2).sum().backward()
        logs["slope"] = weight.grad.abs().max()
        return logs


@only_torch
def test_a_step_of_the_user_may_use_autograd(data):
    gan = OwnStep(*make_networks())
    gan.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2))
    with pytest.warns(UserWarning, match="It calls `backward`"):
        history = gan.fit(data, batch_size=32, verbose=0)
    assert history.history["slope"][0] > 0


class Scaled(layers.Layer):
    """Has a plain attribute that a callback may change."""

    def __init__(self):
        super().__init__()
        self.scale = 1.0

    def call(self, x):
        return self.scale * x


class AtTheSecondBatch(keras.callbacks.Callback):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            self.change(self.model)


def scale(model):
    model.generator.layers[1].scale = 0.5


def freeze(model):
    model.generator.layers[0].trainable = False


def weaken(model):
    model.penalties[0].weight = 0.1


@only_torch
@always_recorded
@pytest.mark.parametrize("change", [scale, freeze, weaken])
def test_attributes_may_change_between_steps(change, data):
    weights = []
    for eager in (True, False):
        gan = gan_with(
            Scaled(), penalty=kmf.penalties.R1(1.0), run_eagerly=eager
        )
        for network in (gan.generator, gan.discriminator):
            rng = np.random.default_rng(0)
            network.set_weights(
                [rng.normal(size=w.shape) for w in network.get_weights()]
            )
        gan.fit(
            data[:48],
            batch_size=16,
            verbose=0,
            shuffle=False,
            callbacks=[AtTheSecondBatch(change)],
        )
        weights.append(gan.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@only_torch
def test_programs_of_old_shapes_are_let_go(data):
    from keras_monoflow.backend.torch import program

    gan = make_gan()
    for size in range(2, program.MAX_PROGRAMS + 4):
        gan.fit(data[:size], batch_size=size, verbose=0)
        programs = gan.train_function._programs
        assert len(programs) <= program.MAX_PROGRAMS
    assert len(programs) == program.MAX_PROGRAMS


@only_torch
def test_learning_rates_and_seeds_may_change_between_steps(data):
    one, other = (
        make_gan(discriminator_steps=3, run_eagerly=eager)
        for eager in (True, False)
    )
    other.set_weights(one.get_weights())
    for gan in (one, other):
        gan.fit(data, batch_size=32, verbose=0, shuffle=False)
        gan.optimizer.learning_rate = 0.01
        gan.seed_generator.state.assign([11, 5])
        gan.fit(data, batch_size=32, verbose=0, shuffle=False)
    assert_same(one, other)


def test_the_optimizer_holds_no_weights_of_the_networks():
    model = make_flow("w1fe")
    held = {id(v) for v in model.optimizer.variables}
    assert not held & {id(v) for v in model.trainable_variables}
