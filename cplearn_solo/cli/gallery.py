"""``cplearn gallery``: images as a model sees them, as one page."""

from __future__ import annotations

import argparse

from cplearn_solo.cli.image_options import add_image_options, check_image_options, loaded_model, progress_bar
from cplearn_solo.cli.options import add_pretrained, parser_of
from cplearn_solo.core.numbers import counted

GALLERY = """Writes one page of images as a trained model sees them: by code, by nearest neighbours, on a map, those
that fit nowhere, near-duplicates. It opens in any browser and needs no other file.

  cplearn gallery RUN IMAGES                          gallery.html
  cplearn gallery RUN digits digits.html              a data set known by its name
  cplearn gallery RUN photos.zip photos.html --seed 1 another choice, where there are more than 3,000 images

IMAGES is a folder, a list, an archive, a parquet file, several of them ('part-*'), or the name of a data set on the
hub. Labels are shown if there are any; in a folder, the folders below it are the classes."""

PAGE = "gallery.html"


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    parser = parser_of("gallery", GALLERY)
    add_pretrained(parser)
    parser.add_argument("images", metavar="IMAGES", help="labels are not needed")
    parser.add_argument("out", metavar="OUT", nargs="?", default=PAGE, help=f"a new .html (default: {PAGE})")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: %(default)s)")
    add_image_options(parser)
    return parser


def gallery_task(options: argparse.Namespace) -> None:
    """Writes the page with a progress bar and says what is on it."""
    from cplearn_solo.config.checks import check_numbers
    from cplearn_solo.inference.targets import PAGES, new_file

    new_file("OUT", options.out, PAGES)
    check_numbers({}, seed=options.seed)
    reading = check_image_options(options)

    from cplearn_solo.gallery.write import write_gallery
    from cplearn_solo.inference.images import labelled_images_at

    model, device = loaded_model(options)
    images = labelled_images_at(model, options.images, reading.data)
    with progress_bar(len(images)) as show:
        found = write_gallery(
            model,
            images,
            options.out,
            title=options.images,
            batch_size=options.batch_size,
            num_workers=reading.num_workers,
            device=device,
            seed=options.seed,
            progress=show,
        )
    size = found.page.stat().st_size / 1e6
    shown = "all of them" if found.shown == found.images else f"{found.shown} of them"
    print(f"{found.page}: {counted(found.images, 'image')}, {shown} to see, {size:.2g} MB")
    if found.unreadable:
        print(f"{found.unreadable} of {len(images)} images could not be read")
