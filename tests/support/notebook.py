"""The code of a notebook, run cell by cell without Jupyter."""

import json
import re
from pathlib import Path


def run(path, *, first=None, **constants):
    """Runs the code cells of a notebook, or only the ``first`` few, in one namespace, which it returns.

    Each of ``constants`` takes the place of the value in a line ``NAME = ...``.
    """
    names = {"__name__": "__main__"}
    for cell in _code(path, constants)[:first]:
        file = re.match(r"%%writefile (\S+)\n", cell)
        if file:
            Path(file[1]).write_text(cell[file.end() :], encoding="utf-8")
        else:
            exec(compile(cell, str(path), "exec"), names)
    return names


def _code(path, constants):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\0".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for name, value in constants.items():
        text, found = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert found == 1, f"{path} has {found} lines {name} = ..."
    return text.split("\0")
