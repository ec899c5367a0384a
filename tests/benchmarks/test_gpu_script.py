"""``benchmarks/gpu.py`` rehearsed on the CPU, its refusals, and what it keeps for the next call."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from gpu_stages import machine, parts, rows, tests, wheels  # noqa: E402
from gpu_stages.report import Report, as_text, read  # noqa: E402

pytestmark = pytest.mark.integration


def script(*arguments):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def images(path, count, seed):
    """A parquet file of small random images in the hub's layout."""
    pixels, encoded = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        encoded.append({"bytes": file.getvalue(), "path": None})
    pq.write_table(pa.table({"img": encoded, "label": [i % 10 for i in range(count)]}), path)


def wheel(folder, name="thing-1.0-py3-none-any.whl"):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as file:
        file.writestr("thing/__init__.py", "")
    return folder


def test_a_stage_is_rehearsed(tmp_path):
    done = script("--stages", "ceilings", "--minutes", 3, "--out", tmp_path / "out", "--work", tmp_path)
    assert done.returncode == 0, done.stderr
    stages = read(tmp_path / "out")
    assert [row["what"] for row in stages["ceilings"]["rows"]][:2] == ["copy", "product, bf16"]
    assert all(row["value"] > 0 for row in stages["ceilings"]["rows"])
    assert done.stdout.endswith((tmp_path / "out/gpu.txt").read_text() + "\n")


@pytest.mark.slow
def test_all_stages_are_rehearsed(tmp_path):
    done = script("--minutes", 5, "--out", tmp_path / "out", "--work", tmp_path)
    assert done.returncode == 0, done.stderr
    stages = read(tmp_path / "out")
    assert list(stages) == ["machine", "ceilings", "tests", "objective", "steps"], done.stdout
    assert not any("failed" in stage["ended"] for stage in stages.values()), done.stdout
    assert all(stage["rows"] for stage in stages.values()), done.stdout


@pytest.mark.slow
def test_a_second_call_goes_on_with_the_rows(tmp_path):
    """Of images made here; a cell that is finished is not run again."""
    images(tmp_path / "train.parquet", 128, seed=0)
    images(tmp_path / "test.parquet", 64, seed=1)
    places = ("--out", tmp_path / "out", "--work", tmp_path / "work", "--data", tmp_path, "--workers", 1)
    row = ("--stages", "rows", "--rows", "CPLearn (c = f)")
    script("--minutes", 1.5, *row, *places)
    ran = read(tmp_path / "out")["rows"]["rows"]
    assert ran[0]["state"] == "finished" and ran[0]["linear_acc1"] > 0
    finished = (tmp_path / "out/cells.jsonl").read_text()
    assert [json.loads(line)["seed"] for line in finished.splitlines()] == [
        r["seed"] for r in ran if "finished" in r["state"]
    ]
    script("--minutes", 1, *row, *places)
    assert (tmp_path / "out/cells.jsonl").read_text().startswith(finished)
    assert all(row["seed"] >= len(finished.splitlines()) for row in read(tmp_path / "out")["rows"]["rows"])


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--stages", "ceilings,stps"], "stages = stps: must be of ceilings, tests,"),
        (["--rows", "CPLearn"], "invalid choice: 'CPLearn'"),
        (["--rows", "--data", "nowhere"], "data = nowhere: must be a folder with train.parquet and test.parquet"),
        (["--wheels", "nowhere"], "wheels = nowhere: must be a folder of wheels; docs/devices.md says how"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path):
    done = script("--out", tmp_path / "out", "--work", tmp_path, *arguments)
    assert done.returncode == 2 and words in done.stderr.splitlines()[-1]


def test_a_gpu_that_is_not_there_or_too_small_is_one_line():
    with mock.patch.object(torch.cuda, "is_available", return_value=False), pytest.raises(SystemExit, match="no GPU"):
        machine.check_gpu()
    little = mock.patch.object(torch.cuda, "mem_get_info", return_value=(2**30, 2**35))
    available = mock.patch.object(torch.cuda, "is_available", return_value=True)
    with little, available, pytest.raises(SystemExit, match=r"1.0 of 32.0 GiB are free, 4 are needed"):
        machine.check_gpu()


def test_tests_that_do_not_start_are_a_failure(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text("raise ImportError")
    (tmp_path / "tests/test_device.py").write_text("# mark.cuda")
    with mock.patch.object(tests, "ROOT", tmp_path), pytest.raises(SystemExit, match="pytest ended with 4 before"):
        tests.run(Report(tmp_path, "tests"), None)


def test_a_warning_is_no_failure_on_a_gpu(tmp_path):
    """Those of the project's own tests are errors, and some are given on a GPU alone."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\nmarkers = ["cuda"]\n'
    )
    (tmp_path / "tests").mkdir()
    test = 'import warnings, pytest\n@pytest.mark.cuda\ndef test_it():\n    warnings.warn("a GPU", stacklevel=1)\n'
    (tmp_path / "tests/test_device.py").write_text(test)
    with mock.patch.object(tests, "ROOT", tmp_path), mock.patch.object(tests, "PROCESSES", 1):
        tests.run(Report(tmp_path, "tests"), None)
    assert read(tmp_path)["tests"]["rows"] == [{"outcome": "passed", "tests": 1}]


def test_wheels_fill_what_is_missing(tmp_path):
    site = wheels.unpacked(wheel(tmp_path / "wheels"), tmp_path / "site")
    assert (site / "thing/__init__.py").is_file()
    wheel(tmp_path / "wheels", "numpy-1.0-py3-none-any.whl")  # is there, so that this machine's stays
    assert not (wheels.unpacked(tmp_path / "wheels", tmp_path / "other") / "numpy").exists()
    wheel(tmp_path / "wheels", "compiled-1.0-cp27-cp27m-manylinux1_x86_64.whl")
    with pytest.raises(wheels.Refused, match=r"compiled-1.0-cp27-cp27m-manylinux1_x86_64.whl is for Python cp27, this"):
        wheels.unpacked(tmp_path / "wheels", tmp_path / "site")
    assert wheels.missing() == []
    with mock.patch.object(wheels, "is_there", lambda name: name != "lightly"):
        assert wheels.missing() == ["lightly"]


def test_cells_are_run_in_the_order_of_their_worth():
    cells = rows.cells([])
    assert cells[0] == ("CPLearn (16384)", 0) and cells[8] == ("CPLearn (16384)", 1)
    assert [row for row, _ in cells[-5:]] == ["GEDI"] * 5 and len(set(cells)) == 45
    assert rows.cells(["Barlow", "GEDI"])[:2] == [("Barlow", 0), ("Barlow", 1)]


def unfinished(work, row, seed, size):
    folder = work / "0.2.0" / f"{row}{seed}"
    (folder / "name/id/checkpoints").mkdir(parents=True)
    (folder / "cell.json").write_text(json.dumps({"row": row, "floor": False}))
    (folder / "config.yaml").write_text(f"name: x\nseed: {seed}\nmax_epochs: 2\n")
    (folder / "name/id/checkpoints/last.ckpt").write_bytes(bytes(size))
    return folder


def test_checkpoints_of_unfinished_cells_travel_in_small_files(tmp_path):
    work, out, order = tmp_path / "work", tmp_path / "out", [("B", 0), ("A", 0), ("A", 1)]
    out.mkdir()
    large, done = unfinished(work, "A", 0, 40 << 20), unfinished(work, "A", 1, 10)
    (done / "result.json").write_text("{}")
    unfinished(work, "B", 0, 20 << 20)
    assert parts.pack(work, out, order=order, megabytes=45) == ["B, seed 0", "not A, seed 0, 40 MB"]
    files = sorted(out.iterdir())
    assert [file.name for file in files] == ["work.00", "work.01"] and max(f.stat().st_size for f in files) <= 16 << 20
    parts.unpack(out, tmp_path / "again")
    assert (tmp_path / "again/0.2.0/B0/name/id/checkpoints/last.ckpt").stat().st_size == 20 << 20
    assert not (tmp_path / "again" / large.relative_to(work)).exists()


def test_a_report_is_a_table_from_its_first_row_on(tmp_path):
    report = Report(tmp_path, "steps")
    report.add(network="ResNet-8", ms=1.2345)
    report.add(network="ViT-S", note="no units")
    report.say("a line")
    text = (tmp_path / "gpu.txt").read_text()
    assert text == as_text(read(tmp_path))
    assert text.splitlines()[2:] == ["network     ms  note", "ResNet-8  1.23", "ViT-S           no units", "a line"]
