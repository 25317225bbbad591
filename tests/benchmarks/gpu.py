"""Training steps in four precisions, and how much of the device they use.

    KERAS_BACKEND=jax python tests/benchmarks/gpu.py
    KERAS_BACKEND=torch python tests/benchmarks/gpu.py --cases mnist resnet
    KERAS_BACKEND=tensorflow python tests/benchmarks/gpu.py --jit

For a case of steps.py and a precision, prints milliseconds a round by the
clock, the ratio to the hand-written step in the same precision, and how many
operations a second the round does: those of matrix products and convolutions
that it needs (see flops.py). `used` is their share of the ceiling, the rate
of one large matrix product in this precision, measured just before.

- `float32` multiplies in float32;
- `tf32` also has float32 weights, but a GPU that can multiplies with 10 bits
  after the point. On a CPU it is float32;
- `bfloat16` and `float16` are Keras's mixed policies. The package scales
  losses in float16, the hand-written steps do not.

Runs on the first GPU if the backend finds one, else on the CPU, where
float16 can be very slow.
"""

import dataclasses
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import flops
import keras
import machine
import numpy as np
import steps
from keras import ops

PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
#: How many products are timed at once.
PRODUCTS = 10


def device():
    """Returns the name of the device that the backend uses."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.devices()[0].device_kind
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(g) for g in gpus]
        return details[0]["device_name"] if gpus else "cpu"
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    # For the hand-written step, and the batches of both.
    torch.set_default_device("cuda")
    return torch.cuda.get_device_name()


def set_precision(precision):
    """For networks that are made, and steps that are compiled, after this."""
    is_low = precision in ("bfloat16", "float16")
    policy = f"mixed_{precision}" if is_low else "float32"
    keras.config.set_dtype_policy(policy)
    short = precision != "float32"
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        name = "tensorfloat32" if short else "float32"
        jax.config.update("jax_default_matmul_precision", name)
    elif backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(short)
    else:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = short
        torch.backends.cudnn.allow_tf32 = short


def ceiling(precision, side, repeats=5):
    """Operations a second of products of two square matrices."""
    dtype = "float32" if precision == "tf32" else precision
    rng = np.random.default_rng(0)
    # Products of products stay as large as they are.
    matrix = rng.normal(size=(side, side)) / side**0.5
    matrix = ops.convert_to_tensor(matrix.astype("float32"))
    matrix = ops.cast(matrix, dtype)

    def multiply():
        product = matrix
        for _ in range(PRODUCTS):
            product = ops.matmul(product, matrix)
        return float(product[0, 0])

    multiply()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - start)
    return 2 * side**3 * PRODUCTS / statistics.median(times)


def in_precision(case, precision):
    low = "float32" if precision == "tf32" else precision
    recipe = dataclasses.replace(case.recipe, precision=low)
    return dataclasses.replace(case, recipe=recipe)


def measure(name, precision, top, arguments):
    """Returns the rows of one case."""
    case = in_precision(cases.CASES[name], precision)
    needed = sum(flops.needed_by(case).values())
    rows = []
    for row in steps.measure(case, arguments):
        rate = 1000 * needed / row["wall"]["ours_ms"]
        share = {"rate": rate, "used": rate / top}
        rows.append({"case": name, "precision": precision, **row, **share})
    return rows


def report(rows, ceilings):
    for precision, top in ceilings.items():
        print(f"ceiling in {precision:<10}{top / 1e12:>10.3f} TFLOP/s")
    names = "ours", "theirs", "ratio", "TFLOP/s", "used"
    header = "".join(f"{name:>10}" for name in names)
    print(f"\n{'case':<20}{'what':<8}{'precision':<10}{header}")
    for row in rows:
        wall = row["wall"]
        print(
            f"{row['case']:<20}{row['what']:<8}{row['precision']:<10}"
            f"{wall['ours_ms']:>10.3f}{wall['theirs_ms']:>10.3f}"
            f"{wall['ratio']:>10.2f}{row['rate'] / 1e12:>10.3f}"
            f"{row['used']:>10.1%}"
        )


def main():
    parser = steps.make_parser(__doc__.splitlines()[0], what=["step"])
    add = parser.add_argument
    add("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    add("--side", type=int, default=None, help="of the large matrices")
    arguments = parser.parse_args()
    name = device()
    machine.print_description()
    print(f"device {name}, jit {arguments.jit}")
    side = arguments.side or (1024 if name == "cpu" else 8192)
    rows, ceilings = [], {}
    for precision in arguments.precisions:
        set_precision(precision)
        ceilings[precision] = ceiling(precision, side)
        for case in cases.chosen(arguments.cases):
            print(f"{case}, {precision}")
            rows += measure(case, precision, ceilings[precision], arguments)
    report(rows, ceilings)
    if arguments.json:
        result = {
            "machine": machine.describe(),
            "device": name,
            "jit": arguments.jit,
            "ceilings": ceilings,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
