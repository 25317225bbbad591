"""How many operations a round needs, and how many two programs run.

    KERAS_BACKEND=tensorflow python tests/benchmarks/flops.py
    KERAS_BACKEND=torch python tests/benchmarks/flops.py --cases w1fe_k3

Multiplications and additions of matrix products and convolutions, which are
nearly all of the work where networks are large. `needed` follows from the
layers and from what a round must compute. `ours` and `theirs`, the sides of
steps.py, are counted: in the programs that JAX and TensorFlow make of a step,
and on PyTorch while a step runs. `kernels` are all that TensorFlow's graph
runs, of any size, before it simplifies the graph.
"""

import argparse
import functools
import math
import os
from typing import NamedTuple
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import keras
import machine
import runs

from keras_monoflow import gradients


class Cost(NamedTuple):
    """Operations of one forward pass for one sample.

    `first` is the share of the layers that nothing learned comes before, and
    `last` that of the layer which gives the output.
    """

    forward: int
    first: int
    last: int


def of_network(network):
    """Counts the layers of a functional `keras.Model`."""
    costs, learned = [], set()
    for operation in network.operations:
        inputs = {id(x) for x in keras.tree.flatten(operation.input)}
        behind = bool(inputs & learned)
        cost = _of_layer(operation)
        if cost or behind:
            learned |= {id(x) for x in keras.tree.flatten(operation.output)}
        costs.append((cost, behind))
    return Cost(
        forward=sum(cost for cost, _ in costs),
        first=sum(cost for cost, behind in costs if not behind),
        last=[cost for cost, _ in costs if cost][-1],
    )


def _of_layer(layer):
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A transposed convolution visits each pixel that goes in, others each
    # pixel that comes out. The kernel has one number for each product there.
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    pixels = (layer.input if transposed else layer.output).shape[1:-1]
    return 2 * math.prod(pixels) * math.prod(kernel.shape)


def needed(recipe, generator, discriminator):
    """Yields (what, operations for one sample) of each part of a round.

    Learning from fixed inputs takes one forward pass, the gradients of all
    weights, and those of all activations but the inputs.

    A gradient penalty takes a forward pass and the gradient of the inputs.
    Its own gradient goes back through the latter: to each weight, and to each
    cotangent but the one of the output. It does not go back through the
    forward pass, as activations that are linear in pieces have no second
    derivative.
    """
    g, d = generator, discriminator
    fit = 3 * g.forward - g.first
    steps = recipe.steps
    if not recipe.reuse:
        yield "samples for the discriminator", steps * g.forward
    yield "objective", steps * 2 * (3 * d.forward - d.first)
    if recipe.penalty:
        yield "penalty", steps * (4 * d.forward - d.last)
    yield "velocity", 2 * d.forward
    yield "generator", recipe.persistency * fit


def needed_by(case):
    """Operations of a round of a case: {what: number}."""
    costs = [of_network(network) for network in case.make_networks()]
    return {
        what: case.batch * number
        for what, number in needed(case.recipe, *costs)
    }


def counted(case, side):
    """Operations that one side runs in a round: `"ours"` or `"theirs"`."""
    return _count(
        case,
        side,
        jax=_counted_on_jax,
        tensorflow=_counted_on_tensorflow,
        torch=_counted_on_torch,
    )


def kernels(case, side):
    """How many kernels TensorFlow's graph of a round runs, of any size."""
    return _count(case, side, tensorflow=_kernels_on_tensorflow)


def _count(case, side, **counters):
    backend = keras.backend.backend()
    count = counters[backend]
    data = case.make_data(case.batch)
    if side == "ours":
        step = cases.make_model(case, run_eagerly=backend == "torch")
    else:
        step = case.make_rival(case, False)
    if isinstance(step, keras.Model):
        batch = (keras.ops.convert_to_tensor(data),)
        unrolled = functools.partial(gradients.repeat, unroll=True)
        with mock.patch.object(gradients, "repeat", unrolled):
            return count(step.train_step, batch, step)
    (batch,) = case.make_batches(data, case.batch)
    return count(step.step, batch, step)


def _counted_on_jax(step, batch, owner):
    """In the program that JAX gives to XLA, without what nothing needs."""
    import jax
    from jax.interpreters import partial_eval

    if isinstance(owner, keras.Model):
        state = runs.jax_state(owner)
    else:
        step, state = owner.pure_step, owner.state
    program = jax.make_jaxpr(step)(state, batch).jaxpr
    everything = [True] * len(program.outvars)
    return _in_jaxpr(partial_eval.dce_jaxpr(program, everything)[0])


def _in_jaxpr(program):
    return sum(_of_equation(equation) for equation in program.eqns)


def _of_equation(equation):
    import jax

    times = equation.params.get("length", 1)
    inner = jax.tree.leaves(
        list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")
    )
    count = times * sum(
        _in_jaxpr(p.jaxpr) for p in inner if hasattr(p, "jaxpr")
    )
    shapes = [
        value.aval.shape for value in (*equation.invars, *equation.outvars)
    ]
    if equation.primitive.name == "dot_general":
        left, _, result = shapes
        (summed, _), _ = equation.params["dimension_numbers"]
        return 2 * math.prod(result) * math.prod(left[i] for i in summed)
    if equation.primitive.name == "conv_general_dilated":
        _, kernel, result = shapes
        channels = equation.params["dimension_numbers"].rhs_spec[0]
        # Zeros between the pixels of a dilated image are not multiplied.
        zeros = math.prod(equation.params["lhs_dilation"])
        products = math.prod(kernel) // kernel[channels]
        return 2 * math.prod(result) * products // zeros
    return count


def _counted_on_torch(step, batch, owner):
    """In a step that runs."""
    from torch.utils import _python_dispatch, flop_counter

    class Count(_python_dispatch.TorchDispatchMode):
        """`flop_counter.FlopCounterMode` does not go with `torch.func`."""

        total = 0

        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            result = operation(*args, **kwargs)
            kind = operation._overloadpacket
            if kind in flop_counter.flop_registry:
                count = flop_counter.flop_registry[kind]
                self.total += count(*args, **kwargs, out_val=result)
            return result

    with Count() as count:
        step(batch)
    return count.total


def _counted_on_tensorflow(step, batch, owner):
    """In the graph, without what neither results nor variables depend on."""
    return sum(map(_of_operation, _graph_on_tensorflow(step, batch)))


def _kernels_on_tensorflow(step, batch, owner):
    nothing = "Const", "Placeholder", "Identity", "NoOp"
    graph = _graph_on_tensorflow(step, batch)
    return sum(op.type not in nothing for op in graph)


def _graph_on_tensorflow(step, batch):
    import tensorflow as tf

    step = getattr(step, "python_function", step)
    function = tf.function(step, autograph=False)
    graph = function.get_concrete_function(batch).graph
    ends = [tensor.op for tensor in graph.outputs] + graph.control_outputs
    return _ancestors(ends)


def _ancestors(operations):
    seen, waiting = set(), list(operations)
    while waiting:
        operation = waiting.pop()
        if operation not in seen:
            seen.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]
            waiting += operation.control_inputs
    return seen


def _of_operation(op):
    """Two operations for each product."""
    shapes = [tensor.shape for tensor in (*op.inputs, *op.outputs)]
    if op.type == "MatMul":
        left, _, result = shapes
        inner = left[0] if op.get_attr("transpose_a") else left[1]
        return 2 * math.prod(result) * inner
    if op.type == "Conv2D":
        _, kernel, result = shapes
    elif op.type == "Conv2DBackpropInput":
        _, kernel, result, _ = shapes
    elif op.type == "Conv2DBackpropFilter":
        _, _, result, kernel = shapes
    elif op.type in ("While", "StatelessWhile", "If", "PartitionedCall"):
        raise ValueError(f"{op.name}: operations inside are not counted.")
    else:
        return 0
    # Of what the convolution gives, each number is a sum over the kernel.
    return 2 * math.prod(result) * math.prod(kernel[:3])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ["wgan_gp_keras_io", "monoflow_512", "w1fe_k3", "mnist", "resnet"]
    parser.add_argument(
        "--cases", nargs="+", default=default, choices=cases.names()
    )
    arguments = parser.parse_args()
    machine.print_description()
    for name in cases.chosen(arguments.cases):
        case = cases.CASES[name]
        parts = needed_by(case)
        total = sum(parts.values())
        rows = [*parts.items(), ("needed", total)]
        rows += [(side, counted(case, side)) for side in ("ours", "theirs")]
        print(f"\n{name}, batch {case.batch}")
        print(f"  {'10^9 operations a round':<34}{'':>10}{'of needed':>12}")
        for what, number in rows:
            print(f"  {what:<34}{number / 1e9:>10.3g}{number / total:>12.3f}")
        if keras.backend.backend() == "tensorflow":
            for side in ("ours", "theirs"):
                print(f"  {f'kernels, {side}':<34}{kernels(case, side):>10}")


if __name__ == "__main__":
    main()
