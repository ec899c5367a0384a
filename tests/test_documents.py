"""What the documents show is what runs."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from cplearn_solo import __version__
from cplearn_solo.testing import check_method

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLE = DOCS / "align_uniform.py"


def test_the_version_is_one():
    """``setup.py`` reads that of the package."""
    (cited,) = [
        line for line in (DOCS.parent / "CITATION.cff").read_text().splitlines() if line.startswith("version: ")
    ]
    assert cited == f"version: {__version__}"
    assert (DOCS.parent / "CHANGELOG.md").read_text().startswith(f"# Changes\n\n## {__version__} (")


def test_the_verdicts_of_cplearn_are_those_of_the_runs_that_are_kept(monkeypatch, capsys):
    section = (DOCS / "results.md").read_text().split("## Does CPLearn collapse?\n")[1].split("\n## ")[0]
    monkeypatch.chdir(DOCS.parent)
    exec(section.split('python -c "')[1].split('"\n```')[0], {})
    runs, collapsed = Counter(), Counter()
    for line in capsys.readouterr().out.splitlines():
        (*how, verdict), count = ast.literal_eval(line)
        runs[str(how)] += count
        collapsed[str(how)] += count if verdict != "healthy" else 0
    rows = [line.split("|")[2:4] for line in section.splitlines() if line.startswith("| ")][1:]
    said = [(int(count), int(re.search(r"\d+|none", words)[0].replace("none", "0"))) for count, words in rows]
    assert sorted(said) == sorted((runs[how], collapsed[how]) for how in runs)


def block(language):
    return (DOCS / "add-a-method.md").read_text().split(f"```{language}\n")[1].split("```")[0]


def test_the_example_method_is_the_one_in_its_file():
    assert block("python") == EXAMPLE.read_text()
    assert len(EXAMPLE.read_text().splitlines()) <= 60


def test_the_example_method_keeps_all_promises(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import align_uniform  # noqa: F401 - registers it

    check_method("align_uniform")


@pytest.fixture
def installed(tmp_path):
    """The example as an installed package, made from the entry point that the document names."""
    (tmp_path / "align_uniform.py").write_text(EXAMPLE.read_text())
    folder = tmp_path / "align_uniform-0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: align-uniform\nVersion: 0.1\n")
    group = block("toml").split('[project.entry-points."')[1].split("[tool")[0]
    name, entry = group.split('"]\n')
    (folder / "entry_points.txt").write_text(f"[{name}]\n{entry.strip().replace(chr(34), '')}\n")
    return tmp_path


def test_an_installed_method_trains_from_a_shipped_configuration(installed):
    command = [sys.executable, str(DOCS.parent / "main_pretrain.py"), "--config-name", "simclr.yaml"]
    command += ["method=align_uniform", "~method_kwargs.temperature", "max_epochs=1", "limit_train_batches=2"]
    command += ["evaluation.knn=false", "evaluation.linear=false", "evaluation.clustering=false", "accelerator=cpu"]
    command += [f"checkpoint.dir={installed}/runs"]
    path = {"PYTHONPATH": f"{installed}:{DOCS.parent}", "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(command, env=path, cwd=installed, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    (run,) = (installed / "runs").glob("*/*/summary.json")
    assert '"method": "align_uniform"' in run.read_text()
