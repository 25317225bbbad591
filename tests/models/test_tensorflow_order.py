"""TensorFlow reads and assigns each variable in the order of the code.

TensorFlow's graph optimizer may drop the order of a read and an assignment of
which neither needs the other's result. A step then takes a new weight for an
old one now and then, which trainings that are compared seldom show.
"""

import keras
import pytest
from helpers import ROLES, make_flow, slow_except

import keras_monoflow as kmf

tf = pytest.importorskip("tensorflow")
if keras.backend.backend() != "tensorflow":
    pytest.skip("graphs of TensorFlow", allow_module_level=True)


class OwnAdam(keras.optimizers.Adam):
    """Not Keras's own class, whose steps the package computes itself."""


def optimized_graphs(model, rows):
    """The graph of a training step, and the loops in it, as they will run."""
    from tensorflow.python.eager import context

    model.fit(rows, batch_size=16, verbose=0)
    step = tf.function(lambda x: model.train_step(x))
    step.get_concrete_function(tf.constant(rows[:16]))
    context.context().enable_graph_collection()
    step(tf.constant(rows[:16]))
    graphs = context.context().export_run_metadata().function_graphs
    graph = graphs[-1].post_optimization_graph
    return [graph.node, *(f.node_def for f in graph.library.function)]


def unordered(nodes):
    """How many pairs of a read or assignment and an assignment of the same
    variable there are, and which of them may run in any order."""
    by_name = {node.name: node for node in nodes}

    def names(node):
        return [i.lstrip("^").split(":")[0] for i in node.input]

    def predecessors(name):
        stack, found = [name], set()
        while stack:
            for parent in names(by_name[stack.pop()]):
                if parent in by_name and parent not in found:
                    found.add(parent)
                    stack.append(parent)
        return found

    variables = {}
    for node in nodes:
        if node.op == "ReadVariableOp" or node.op.startswith("Assign"):
            variables.setdefault(names(node)[0], []).append(node)
        elif node.op.startswith("ResourceApply"):
            for handle in names(node)[:3]:
                variables.setdefault(handle, []).append(node)
    count, pairs = 0, []
    for touches in variables.values():
        before = {one.name: predecessors(one.name) for one in touches}
        for i, one in enumerate(touches):
            for other in touches[i + 1 :]:
                if one.op == other.op == "ReadVariableOp":
                    continue
                count += 1
                if (
                    one.name not in before[other.name]
                    and other.name not in before[one.name]
                ):
                    pairs.append((one.name, other.name))
    return count, pairs


def assert_ordered(model, rows):
    found = [unordered(nodes) for nodes in optimized_graphs(model, rows)]
    assert sum(count for count, _ in found) > 10
    assert not [pair for _, pairs in found for pair in pairs]


ARGUMENTS = {
    "plain": {},
    "everything": {"persistency": 3, "ema": 0.5, "normalize_velocity": True},
}
FAST = [("w1fe", "plain"), ("samples", "everything")]


@pytest.mark.parametrize(
    "case", slow_except(FAST, [(f, a) for f in ROLES for a in ARGUMENTS])
)
def test_steps_of_all_flows(data, case):
    flow, arguments = case
    arguments = dict(ARGUMENTS[arguments])
    if flow.endswith("particles"):
        arguments = {k: v for k, v in arguments.items() if k[0] == "n"}
    elif arguments and ROLES[flow]:
        arguments |= {
            "step_size": 0.5,
            f"{ROLES[flow]}_steps": 2,
            f"{ROLES[flow]}_warmup": 1,
        }
    assert_ordered(make_flow(flow, **arguments), data)


def make_generator():
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(2),
        ]
    )


def make_critic(use_bias, stateful):
    layers = keras.layers
    hidden = layers.Dense(8, "tanh")
    if stateful:
        hidden = layers.SpectralNormalization(hidden)
    return keras.Sequential(
        [
            layers.Input((2,)),
            hidden,
            layers.Dropout(0.3 if stateful else 0.0),
            layers.Dense(1, use_bias=use_bias),
        ]
    )


@pytest.mark.parametrize(
    "optimizer",
    slow_except(
        [keras.optimizers.SGD],
        [keras.optimizers.SGD, keras.optimizers.Adam, OwnAdam],
    ),
)
@pytest.mark.parametrize("penalty", slow_except([None], [None, "lipschitz"]))
@pytest.mark.parametrize("stateful", slow_except([False], [False, True]))
@pytest.mark.parametrize("use_bias", [False, True])
def test_linear_losses(data, use_bias, stateful, penalty, optimizer):
    """The last layer's gradient depends on no output of the critic."""
    model = kmf.W1FE(make_generator(), make_critic(use_bias, stateful), seed=1)
    model.compile(optimizer(0.01), optimizer(0.01), penalty=penalty)
    assert_ordered(model, data)


@pytest.mark.parametrize("use_bias", [False, True])
def test_logs_of_a_linear_critic(data, use_bias):
    """Only the log depends on its weights."""
    critic = keras.Sequential(
        [keras.layers.Input((2,)), keras.layers.Dense(1, use_bias=use_bias)]
    )
    model = kmf.W1FE(make_generator(), critic, seed=1)
    model.compile(
        keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01), penalty=None
    )
    assert_ordered(model, data)


@pytest.mark.slow
def test_linear_losses_of_two_networks(data):
    networks = [make_critic(use_bias=False, stateful=True) for _ in range(2)]
    model = kmf.W2FE(make_generator(), *networks, seed=1)
    model.compile(OwnAdam(0.01), OwnAdam(0.01))
    assert_ordered(model, data)
