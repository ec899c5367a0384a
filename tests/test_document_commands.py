"""Documents: the programs take every command in them, every key exists, all code compiles, and no link is broken."""

import shlex
from importlib import import_module
from pathlib import Path

import pytest
from support import documents
from support.images import write_images

from cplearn_solo.cli.keys import KEYS
from cplearn_solo.cli.main import COMMANDS

# What each program without --cfg does with options that it has understood.
TASKS = {
    "check": "tasks.check_task",
    "collapse": "collapse.collapse_task",
    "dino": "dino.run",
    "dino --write-patch": "dino.write_patch",
    "duplicates": "duplicates.duplicates_task",
    "embed": "embed.embed_task",
    "export": "export.export_task",
    "gallery": "gallery.gallery_task",
    "predict": "predict.predict_task",
    "runs": "runs.list_runs",
    "search": "search.search_task",
}
LISTS = ("methods", "backbones", "datasets")


class Understood(Exception):
    """Raised in the place of a program's work."""


ALL = [
    pytest.param(program, arguments, id=shlex.join([str(file.relative_to(documents.ROOT)), program, *arguments]))
    for file in documents.FILES
    for program, arguments in documents.commands(file)
]
CODE = [
    pytest.param(text, id=f"{file.relative_to(documents.ROOT)}: {text.partition(chr(10))[0]}")
    for file in documents.FILES
    for language, text in documents.blocks(file)
    if language == "python"
]


def first_of_each(arguments):
    """The first job of a sweep."""
    if "-m" not in arguments:
        return arguments
    values = (word.partition("=") for word in arguments if word != "-m" and not word.startswith("hydra"))
    return [key + equals + value.split(",")[0] for key, equals, value in values]


@pytest.fixture(autouse=True)
def example(monkeypatch):
    """The method that the documents add."""
    monkeypatch.syspath_prepend(documents.ROOT / "docs")
    import align_uniform  # noqa: F401 - registers it


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """What FOLDER stands for: keys that say auto look at the images."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, ["a.png", "b.png"])
    return str(folder)


@pytest.mark.parametrize("program, arguments", ALL)
def test_a_program_takes_it(program, arguments, images, monkeypatch, tmp_path):
    arguments = [word.replace("FOLDER", images) for word in arguments]
    if any(word.endswith(".onnx") for word in arguments):
        pytest.importorskip("onnxruntime")  # without which the program says that it wants it
    if "/" in program:
        assert (documents.ROOT / f"{program}.py").is_file()
    elif program in KEYS and program != "check":
        monkeypatch.chdir(documents.ROOT)  # where scripts/ are
        COMMANDS[program]([*first_of_each(arguments), "--cfg", "job"])
    elif program in LISTS:
        COMMANDS[program](arguments)
    elif program == "solo-learn":  # which hands its arguments on
        assert (documents.ROOT / arguments[2] / arguments[4]).is_file()
    elif arguments:
        monkeypatch.chdir(tmp_path)
        if program == "collapse":  # which looks for its files before anything else
            for word in arguments:
                Path(word).touch()
        place = " ".join([program, *[word for word in arguments if f"{program} {word}" in TASKS]])
        file, name = TASKS[place].split(".")

        def task(raw, *_, **__):
            if program == "check":
                KEYS["check"](raw)
            raise Understood

        monkeypatch.setattr(import_module(f"cplearn_solo.cli.{file}"), name, task)
        with pytest.raises(Understood):
            COMMANDS[program](arguments)


@pytest.mark.parametrize("text", CODE)
def test_code_compiles(text):
    compile(text, "block", "exec")


@pytest.mark.parametrize("file", documents.FILES, ids=lambda file: str(file.relative_to(documents.ROOT)))
def test_links_lead_to_files(file):
    broken = [link for link in documents.links(file) if not (file.parent / link).exists()]
    assert broken == []


def test_commands_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```\npip install cplearn-solo\ncplearn runs a \\\n  b='c d' && python main_knn.py k=1  # 1\n```\n")
    assert list(documents.commands(page)) == [("runs", ["a", "b=c d"]), ("knn", ["k=1"])]
