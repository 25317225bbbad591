"""What a benchmark must say of where it ran."""

import os
import pathlib
import platform
import subprocess


def describe():
    """Returns a dictionary of machine, versions, threads and commit."""
    import keras
    import numpy

    backend = keras.backend.backend()
    framework = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
    version = __import__(framework[backend]).__version__
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        backend: version,
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
