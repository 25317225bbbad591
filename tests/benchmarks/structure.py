"""Counts what the structure of the package is judged by.

    python tests/benchmarks/structure.py

- the files of the package that one eager round of W1FE enters, and how often
  it goes from one file to another;
- lines inside functions that ask which backend runs;
- public functions and methods without complete annotations;
- lines of the package.
"""

import ast
import os
import pathlib
import sys

import numpy as np

import keras_monoflow as kmf

PACKAGE = pathlib.Path(kmf.__file__).parent


class Entered:
    """Which files of the package are entered while it is active."""

    def __init__(self):
        self.files, self.changes, self._last = set(), 0, None

    def __enter__(self):
        sys.setprofile(self._see)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def _see(self, frame, event, argument):
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(PACKAGE)):
            self.files.add(os.path.relpath(file, PACKAGE))
            self.changes += file != self._last
            self._last = file


def enter_a_round():
    """Runs two eager rounds of W1FE, and watches the second."""
    import keras

    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2), kmf.networks.mlp_discriminator(2)
    )
    model.compile(
        keras.optimizers.Adam(),
        keras.optimizers.Adam(),
        critic_steps=2,
        persistency=3,
        run_eagerly=True,
    )
    x = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
    model.fit(x, batch_size=16, verbose=0)
    entered = Entered()
    original = model.train_step

    def train_step(*arguments):
        with entered:
            return original(*arguments)

    model.train_step = train_step
    model.make_train_function(force=True)
    model.fit(x, batch_size=16, verbose=0)
    return entered


def trees():
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(PACKAGE), ast.parse(file.read_text())


def functions(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def asks_for_backend(node):
    """Whether a condition compares the name of the backend."""
    names = ("_BACKEND", "BACKEND", "backend")
    return isinstance(node, ast.Compare) and any(
        (isinstance(part, ast.Name) and part.id in names)
        or (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr == "backend"
        )
        for part in ast.walk(node)
    )


def backend_branches():
    return sorted(
        {
            f"{file}:{node.lineno}"
            for file, tree in trees()
            for function in functions(tree)
            for node in ast.walk(function)
            if asks_for_backend(node)
        }
    )


def is_annotated(function, in_class):
    arguments = [*function.args.posonlyargs, *function.args.args]
    if in_class and not any(
        getattr(d, "id", "") == "staticmethod" for d in function.decorator_list
    ):
        arguments = arguments[1:]
    arguments += function.args.kwonlyargs
    arguments += [a for a in (function.args.vararg, function.args.kwarg) if a]
    return function.returns is not None and all(a.annotation for a in arguments)


def unannotated():
    """Public functions, and public methods of public classes."""
    found = []

    def look(file, body, owner=None):
        for node in body:
            if isinstance(node, ast.ClassDef):
                if not node.name.startswith("_"):
                    look(file, node.body, node.name)
            elif isinstance(node, ast.FunctionDef):
                is_public = not node.name.startswith("_")
                is_public |= owner is not None and node.name == "__call__"
                if node.name == "__init__" or is_public:
                    if node.name == "__init__" and owner:
                        node.returns = node.returns or ast.Constant(None)
                    if not is_annotated(node, owner is not None):
                        found.append(f"{file}:{owner or ''}.{node.name}")

    for file, tree in trees():
        look(file, tree.body)
    return found


def lines():
    return sum(
        len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py")
    )


def main():
    entered = enter_a_round()
    print(f"files entered by a round of W1FE: {len(entered.files)}")
    print("   ", "\n    ".join(sorted(entered.files)))
    print(f"changes of file on the way: {entered.changes}")
    branches = backend_branches()
    print(f"lines in functions that ask for the backend: {len(branches)}")
    print("   ", "\n    ".join(branches))
    missing = unannotated()
    print(f"public functions without complete annotations: {len(missing)}")
    if "--list" in sys.argv:
        print("   ", "\n    ".join(missing))
    print(f"lines of the package: {lines()}")


if __name__ == "__main__":
    main()
