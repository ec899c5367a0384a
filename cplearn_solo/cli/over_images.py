"""Shared by programs that write a row for each image: options, a progress bar, a last line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cplearn_solo.cli.image_options import add_image_options, check_image_options, loaded_model, progress_bar
from cplearn_solo.cli.options import add_pretrained, parser_of

if TYPE_CHECKING:
    from cplearn_solo.inference.pretrained import Pretrained
    from cplearn_solo.inference.rows import Written

SOURCES = """IMAGES is a folder, a list, an archive, a parquet file, several of them ('part-*'), or the name of a data
set on the hub. The same command resumes a killed call."""


def image_parser(program: str, about: str, *, out: str) -> argparse.ArgumentParser:
    """A parser with the options that all have; ``out`` is the help for the files that can be written."""
    parser = parser_of(program, f"{about}\n\n{SOURCES}")
    add_pretrained(parser)
    parser.add_argument("images", metavar="IMAGES", help="labels are not needed")
    parser.add_argument("out", metavar="OUT", help=out)
    add_image_options(parser)
    return parser


def over_images(
    options: argparse.Namespace, writer_of: Callable[[Pretrained], Callable[..., Written]]
) -> tuple[Pretrained, Written]:
    """Writes a row for each image with a progress bar; returns the model of the run, and what was written.

    ``writer_of`` takes the model, raises ``InputError`` if it cannot be used, and returns the function that writes.
    """
    reading = check_image_options(options)

    from cplearn_solo.inference.images import images_at

    model, device = loaded_model(options)
    write = writer_of(model)
    images = images_at(model, options.images, reading.data, in_order=True)
    with progress_bar(len(images)) as show:
        found = write(
            images,
            options.out,
            batch_size=options.batch_size,
            num_workers=reading.num_workers,
            device=device,
            progress=partial(show, "images"),
        )
    return model, found


def tell_unreadable(found: Written) -> None:
    """Prints how many images were left out, if any were."""
    if found.listed:
        total = found.rows + found.unreadable
        print(f"{found.listed}: {found.unreadable} of {total} images, which could not be read")
