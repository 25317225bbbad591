"""The notebooks run from top to bottom, and are stored with their outputs."""

import pathlib

import keras
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "examples" / "notebooks"
NAMES = ["first_gan", "one_step_generator", "which_mapping"]


@pytest.fixture(params=NAMES)
def notebook(request):
    nbformat = pytest.importorskip("nbformat")
    return nbformat.read(FOLDER / f"{request.param}.ipynb", 4)


def test_all_are_tried():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


def test_was_run_whole_and_in_order(notebook):
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1))
    kinds = {o.output_type for cell in cells for o in cell.outputs}
    assert "error" not in kinds


@pytest.mark.slow
def test_runs(notebook, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("on the default backend alone, for they take a minute each")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ot")
    pytest.importorskip("keras_tuner")
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # Raises the error of a cell.
