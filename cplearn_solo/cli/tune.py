"""What ``cplearn tune`` does once its configuration is composed. It needs a trainer only if trials have to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rich.console import Console

from cplearn_solo.cli.hydra_app import composed_by
from cplearn_solo.cli.report import width
from cplearn_solo.config.read import resolved
from cplearn_solo.core.files import write_file
from cplearn_solo.core.schema import read_schema
from cplearn_solo.core.scripts import SCRIPTS
from cplearn_solo.core.stops import at_stop
from cplearn_solo.jobs.launch import check_launcher
from cplearn_solo.tuning.halving import due, places
from cplearn_solo.tuning.plan import Search, plan
from cplearn_solo.tuning.record import Record
from cplearn_solo.tuning.schema import TuneConfig
from cplearn_solo.tuning.sheet import drawn, make_sheet

OWN = tuple(field.name for field in fields(TuneConfig))
OF_ONE_CALL = ("workers", "work", "launcher", "slurm")  # left out of the command that repeats the search


def tune_task(raw: Any, arguments: Sequence[str], place: Sequence[str]) -> None:
    """Plans the search, runs the missing trials, writes the page and prints what to type next.

    ``arguments``: those of the command line; ``place``: the option for the configuration's folder, if they lack it.
    """
    search = planned(raw, arguments)
    record = Record(search)
    if due(search.rules, record.outcomes):
        from cplearn_solo.tuning.search import as_jobs, run_search

        rules = search.rules
        until = (f"{places(rules.budget, rung)} until epoch {epochs}" for rung, epochs in enumerate(rules.rungs))
        print(f"trials of {search.name}, drawn {drawn(rules, rules.budget)}: {', '.join(until)}; in {search.folder}")
        with at_stop("stopped; the same command goes on from here"):
            run_search(record, as_jobs(search))
    _render(record, training([*place, *arguments]), ["cplearn", "tune", *_without(arguments, OF_ONE_CALL)])


def planned(raw: Any, arguments: Sequence[str] = ()) -> Search:
    """The search that a configuration describes; ``InputError`` for an invalid one."""
    values = resolved(raw)
    request = read_schema({key: value for key, value in values.items() if key in OWN}, TuneConfig)
    check_launcher(request.launcher, request.workers, request.slurm)
    pretraining = {key: value for key, value in values.items() if key not in OWN}
    return plan(request, pretraining, fixed=_keys(arguments), spaces=SCRIPTS / "tune/spaces.yaml")


def training(arguments: Sequence[str]) -> list[str]:
    """The words of the command that trains with the configuration of a search. Keys of the search itself, which may be
    on the command line and in a file, are removed."""
    kept = _without(arguments, OWN)
    in_file = composed_by(kept, config="cplearn.yaml")
    return ["cplearn", "pretrain", *kept, *(f"~{key}" for key in OWN if key in in_file)]


def _render(record: Record, train: Sequence[str], again: Sequence[str]) -> None:
    from cplearn_solo.tuning.figure import draw  # matplotlib takes a second to load
    from cplearn_solo.tuning.render import markdown, page, show

    sheet = make_sheet(record, train=train, search=again)
    image = draw(record, sheet.importance)
    files = {"tune.md": markdown(sheet, "tune.png"), "tune.html": page(sheet, image), "tune.png": image}
    written = [write_file(record.folder / name, content) for name, content in files.items()]
    console = Console(width=width())
    show(sheet, console)
    console.print(f"\nwritten: {', '.join(map(str, written))}", markup=False, highlight=False)
    if sheet.train:
        print(f"\nnext:\n  {sheet.train}")


def _keys(arguments: Sequence[str]) -> list[str]:
    return [argument.lstrip("+~").partition("=")[0] for argument in arguments if "=" in argument]


def _without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """The arguments without keys of these names, or below them."""
    return [a for a in arguments if "=" not in a or a.lstrip("+").partition("=")[0].partition(".")[0] not in names]
