"""Commands and code in the blocks of documents."""

import json
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILES += sorted((ROOT / "docs").rglob("*.ipynb"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")
PROGRAM = re.compile(r"\bcplearn\b|\b(main_|benchmarks/)\w+\.py\b")
ELSEWHERE = ("main_dino.py",)  # scripts of other projects
SEPARATORS = {"&&", ";", "|"}


def blocks(file):
    """Language and text of each block of a document."""
    return BLOCK.findall(_text(file))


def links(file):
    """Paths that a document links to, from its own folder."""
    return LINK.findall(BLOCK.sub("", _text(file)))


def commands(file):
    """Program and arguments of each call of ours in the blocks of a shell, as ``("pretrain", [...])``.

    A script that is no program of its own is given by its path, as ``("benchmarks/gpu", [...])``.
    """
    for language, text in blocks(file):
        if language == "":
            for line in filter(PROGRAM.search, text.replace("\\\n", " ").splitlines()):
                yield from filter(None, map(_ours, _split(line)))


def _text(file):
    """A document, or the text between a notebook's code."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def _ours(words):
    for place, (before, word) in enumerate(zip([None, *words], words)):
        arguments = [word for word in words[place + 1 :] if word != "..."]
        if word == "cplearn" and before in (None, "--no-python"):
            return arguments[0], arguments[1:]
        if before == "python" and word.endswith(".py") and word not in ELSEWHERE:
            return word.removeprefix("main_").removesuffix(".py"), arguments
    return None


def _split(line):
    """Commands of a line of a shell, without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    command = []
    for word in lexer:
        if word in SEPARATORS:
            yield command
            command = []
        else:
            command.append(word)
    if command:
        yield command
