"""docs/rows.md: every row of the documents has a command, and every command is one that its program takes."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import yaml

from cplearn_solo.cli.main import COMMANDS
from cplearn_solo.config.compose import composed
from cplearn_solo.config.read import parse_config, resolved
from cplearn_solo.core.schema import read_schema
from cplearn_solo.core.scripts import SCRIPTS
from cplearn_solo.tables.paper import load_table, table_names
from cplearn_solo.tables.schema import GridConfig

ROOT = Path(__file__).parents[1]
PAPERS = ROOT.parent / "shared/papers"
HEAD = ["row", "command", "settings", "run here", "held up"]
# What each document counts, by the heading of its table.
DOCUMENTS = {
    "CPLearn": ("cplearn-icml2025.txt", r"^(Table|Figure|Lemma|Theorem|Corollary) (\d+)\b[:. (]"),
    "Preventing": ("preventing-collapses-report-2023.txt", r"^(Table|Figure) (\d+):"),
    "Matrix-SSL": (
        "matrix-ssl.txt",
        r"^(Table|Figure|Theorem|Lemma|Proposition) ([A-D]?\.?\d+(?:\.\d+)?)[:. ] ?[A-Z(*]",
    ),
}


def sections():
    """Rows below each heading, as lists of cells."""
    for part in (ROOT / "docs/rows.md").read_text().split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert cells[0] == HEAD
        yield part.splitlines()[0], cells[2:]


ROWS = [(heading, row) for heading, rows in sections() for row in rows]
CALLS = sorted({re.fullmatch("`(.+)`", row[1])[1] for _, row in ROWS})


def test_every_row_has_a_command_and_a_word_on_what_was_run():
    for _, row in ROWS:
        what, call, settings, ran, held = row
        assert what and call, row
        assert ran or settings == "a drawing", row
        assert held or ran.startswith("not run") or settings == "a drawing", row


@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_that_a_document_counts_is_left_out(document):
    name, pattern = DOCUMENTS[document]
    if not PAPERS.is_dir():
        pytest.skip(f"the papers' texts are not at {PAPERS}")
    printed = {" ".join(found) for found in re.findall(pattern, (PAPERS / name).read_text(), re.MULTILINE)}
    there = " ".join(row[0] + ":" for heading, row in ROWS if heading.startswith(document))
    missing = [each for each in sorted(printed) if not re.search(rf"\b{re.escape(each)}(?![\d.])", there)]
    assert len(printed) >= 11 and not missing


def test_every_table_of_the_documents_is_a_row():
    shown = {re.search(r"--config-name (\S+)\.yaml", call)[1] for call in CALLS if call.startswith("cplearn table")}
    tables = {yaml.safe_load((SCRIPTS / f"tables/{name}.yaml").read_text())["table"] for name in shown}
    assert tables >= {name for name in table_names() if load_table(name).document}


@pytest.mark.parametrize("call", [call for call in CALLS if call.startswith("cplearn ")])
def test_programs_take_their_keys(call, capsys):
    _, command, *arguments = shlex.split(call)
    if command == "collapse":  # which reads its options before it misses the run
        with pytest.raises(SystemExit):
            COMMANDS[command](arguments)
        assert "RUN = 'RUN': must be a run folder" in capsys.readouterr().err
        return
    COMMANDS[command]([*arguments, "--cfg", "job"])
    assert capsys.readouterr().out
    if command == "table":
        name, keys = arguments[1].removesuffix(".yaml"), arguments[2:]
        values = resolved(composed(SCRIPTS / "tables", name, [f"++{key}" for key in keys]))
        own = {key: value for key, value in values.items() if key in GridConfig.__dataclass_fields__}
        request = read_schema(own, GridConfig)
        table = load_table(request.table)
        assert request.scale in table.settings and {*(request.rows or ())} <= {row.name for row in table.rows}
        others = {key: value for key, value in values.items() if key not in own}
        parse_config({"method": "cplearn", "augmentations": [{"num_crops": 2}], **others})


@pytest.mark.parametrize("call", [call for call in CALLS if not call.startswith("cplearn ")])
def test_scripts_and_tests_are_there(call):
    program, file, *arguments = shlex.split(call)
    source = (ROOT / file).read_text()
    if program == "pytest":
        assert arguments[0] == "-k" and f"def {arguments[1]}(" in source
    else:
        assert program == "python"
        runpy.run_path(str(ROOT / file))["read_options"](arguments)
