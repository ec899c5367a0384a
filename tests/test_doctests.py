"""Examples in docstrings run as they stand."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cplearn_solo"
WITH_EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text())


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_examples_run(path):
    module = import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    results = doctest.testmod(module)
    assert results.attempted and not results.failed
