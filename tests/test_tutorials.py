"""The notebooks of the documents run from their first cell to their last."""

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from support import notebook
from torch.nn import functional as F

from cplearn_solo.methods import Progress, Views

pytestmark = pytest.mark.integration

TUTORIALS = Path(__file__).parents[1] / "docs/tutorials"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Notebooks change the working directory and the search path, and make folders that nobody takes away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def first_run(**constants):
    names = notebook.run(TUTORIALS / "first-run.ipynb", **constants)
    assert {"gallery.html", "backbone.safetensors"} <= set(os.listdir())
    assert len(names["vectors"].x) == len(names["vectors"].files) == names["IMAGES"]
    return names["run"]


def test_first_run_in_short():
    assert first_run(EPOCHS=2, IMAGES=300).scores["epochs"] == 2


def test_new_method_has_the_loss_of_its_paper():
    notebook.run(TUTORIALS / "new-method.ipynb", first=2)  # which write its file
    from dcl import DCL

    method = DCL(6, batch_size=5, proj_hidden_dim=8, proj_output_dim=4, temperature=0.5)
    feats = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    z = F.normalize(method.projector(feats.flatten(0, 1)), dim=1).double().view(2, 5, 4)
    terms = []
    for view in (0, 1):
        for i in range(5):
            others = [z[view, i] @ z[k, j] / 0.5 for k in (0, 1) for j in range(5) if j != i]
            terms.append(torch.stack(others).exp().sum().log() - z[0, i] @ z[1, i] / 0.5)
    loss = method.loss(Views(list(feats), n_large=2, progress=Progress(0, 1, 0, 1)))["loss"]
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


@pytest.mark.slow
def test_first_run_as_it_stands():
    run = first_run()
    assert run.verdict == "healthy"
    for score in ("knn_acc1", "kmeans_ami"):  # a random backbone has a linear probe as good
        assert run.scores[score] > run.scores["random_backbone"][score]


@pytest.mark.slow
def test_new_method_as_it_stands():
    runs = notebook.run(TUTORIALS / "new-method.ipynb")["runs"]
    assert set(runs) == {"simclr", "dcl"}
    for scores in (run.scores for run in runs.values()):
        assert scores["knn_acc1"] > scores["random_backbone"]["knn_acc1"]


@pytest.mark.parametrize("path", sorted(TUTORIALS.glob("*.ipynb")), ids=lambda path: path.name)
def test_no_output_is_kept(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
