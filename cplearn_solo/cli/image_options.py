"""Options of programs that read images with a trained model."""

from __future__ import annotations

import argparse

from cplearn_solo.core.errors import require
from cplearn_solo.data.checks import check_workers
from cplearn_solo.data.workers import Workers


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """How images are read, and where the model runs."""
    parser.add_argument("--batch-size", type=int, default=256, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--num-workers", default="auto", metavar="N", help="that read files (default: %(default)s)")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu or gpu (default: %(default)s)")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="keys of data that differ from the run's, as image_column=photo; repeat for more keys",
    )


def checked_workers(options: argparse.Namespace) -> Workers:
    """The number of workers, or auto; raises ``InputError`` for that and for the batch size."""
    workers = int(options.num_workers) if options.num_workers.isdecimal() else options.num_workers
    check_workers("num_workers", workers)
    require(options.batch_size >= 1, "batch_size", options.batch_size, "at least 1")
    return workers
