"""What a benchmark must say of where it ran."""

import os
import pathlib
import platform
import subprocess
import sys


def describe():
    """Returns machine, versions of what is loaded, threads and commit."""
    import keras
    import numpy

    backend = keras.backend.backend()
    # A hand-written loop may run in PyTorch.
    frameworks = {
        name: sys.modules[name].__version__
        for name in (backend, "torch")
        if name in sys.modules
    }
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": backend,
        **frameworks,
        "numpy": numpy.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "commit": _commit(),
    }


def print_description():
    print(", ".join(f"{k} {v}" for k, v in describe().items()))


def _processor():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line for line in text.splitlines() if "model name" in line]
    return names[0].split(":")[1].strip() if names else platform.machine()


def _commit():
    here = pathlib.Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    print_description()
