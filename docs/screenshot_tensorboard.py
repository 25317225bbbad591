"""Takes the picture of a TensorBoard page that the docs show.

Needs runs of examples/ring_of_gaussians.py with `--tensorboard` in RUNS, and
Chromium:

    for m in non_saturating vanilla identity; do
        python examples/ring_of_gaussians.py --tensorboard --mapping $m \
            --output runs/$m
    done
    python docs/screenshot_tensorboard.py runs
"""

import argparse
import pathlib
import subprocess
import tempfile
import time
import urllib.request

IMAGES = pathlib.Path(__file__).parent / "images"
BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1500,960",
    "--virtual-time-budget=25000",
]


def wait_for(address, seconds=60):
    for _ in range(seconds):
        try:
            return urllib.request.urlopen(address)
        except OSError:
            time.sleep(1)
    raise TimeoutError(f"Nothing answers at {address}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("--page", default="images")
    parser.add_argument("--browser", default="chromium")
    parser.add_argument("--port", default="6123")
    parser.add_argument("--output", default=IMAGES / "tensorboard.png")
    arguments = parser.parse_args()
    address = f"http://localhost:{arguments.port}"
    output = pathlib.Path(arguments.output).resolve()
    server = subprocess.Popen(
        [
            "tensorboard",
            f"--logdir={arguments.runs.name}",
            f"--port={arguments.port}",
            "--samples_per_plugin=images=50",
        ],
        cwd=arguments.runs.resolve().parent,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(address)
        time.sleep(10)  # it reads the runs in the background
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run(
                [
                    arguments.browser,
                    *BROWSER,
                    f"--user-data-dir={profile}",
                    f"--screenshot={output}",
                    f"{address}/#{arguments.page}",
                ],
                check=True,
                stderr=subprocess.DEVNULL,
            )
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
