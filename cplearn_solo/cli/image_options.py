"""Shared by programs that read images with a trained model: options, the model, a progress bar."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from cplearn_solo.cli.data_keys import data_keys
from cplearn_solo.config.checks import check_choices
from cplearn_solo.config.evaluation import ACCELERATORS
from cplearn_solo.core.errors import require
from cplearn_solo.core.progress import told
from cplearn_solo.data.checks import check_workers
from cplearn_solo.data.sources.kinds import dataset_at
from cplearn_solo.data.sources.places import places
from cplearn_solo.data.workers import Workers
from cplearn_solo.engine.find import find_checkpoint

if TYPE_CHECKING:
    import torch

    from cplearn_solo.inference.pretrained import Pretrained


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Adds options for how images are read and where the model runs."""
    parser.add_argument(
        "--batch-size", type=int, default=256, metavar="N", help="images at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--num-workers", default="auto", metavar="N", help="processes that read files (default: %(default)s)"
    )
    add_accelerator(parser)
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="keys of data that differ from the run's, as image_column=photo; repeat for more keys",
    )


def add_accelerator(parser: argparse.ArgumentParser) -> None:
    """Adds the option for where the model runs."""
    parser.add_argument("--accelerator", default="auto", metavar="NAME", help="auto, cpu or gpu (default: %(default)s)")


class Reading(NamedTuple):
    """How images are read: processes, and keys of ``data`` that differ from the run's."""

    num_workers: Workers
    data: dict[str, Any]


def check_image_options(options: argparse.Namespace) -> Reading:
    """The checked options; raises ``InputError`` for invalid values, and if the run or the images do not exist."""
    workers = int(options.num_workers) if re.fullmatch(r"\d{1,9}", options.num_workers) else options.num_workers
    check_workers("num_workers", workers)
    require(options.batch_size >= 1, "batch_size", options.batch_size, "at least 1")
    check_accelerator(options.accelerator)
    data = data_keys(options.data)
    find_checkpoint(options.pretrained)
    if dataset_at(options.images) in ("custom", "parquet"):
        places(options.images, "IMAGES")
    return Reading(workers, data)


def check_accelerator(accelerator: str) -> None:
    """Raises ``InputError`` for a name that is not in ``ACCELERATORS``, and for a GPU if there is none."""
    check_choices({"accelerator": (accelerator, ACCELERATORS)})
    if accelerator not in ("auto", "cpu"):
        from cplearn_solo.inference.devices import choose_device

        choose_device(accelerator)


def loaded_model(options: argparse.Namespace) -> tuple[Pretrained, torch.device]:
    """The model that the options name, and the device that it is on."""
    from cplearn_solo.inference.devices import choose_device
    from cplearn_solo.inference.pretrained import load_pretrained

    device = choose_device(options.accelerator)
    return load_pretrained(options.pretrained, device=device), device


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str, int, int], None]]:
    """Shows a bar, or lines where there is no terminal; yields a function that takes the name of a step, how much of
    it is done, and the total."""
    if not sys.stderr.isatty():
        yield told()
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("images", total=total)
        yield lambda step, done, total: bar.update(task, description=step, completed=done, total=total)
