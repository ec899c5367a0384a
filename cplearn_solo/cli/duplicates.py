"""``cplearn duplicates``: images that are nearly the same."""

from __future__ import annotations

import argparse
from functools import partial

from cplearn_solo.cli.image_options import add_image_options, check_image_options, loaded_model, progress_bar
from cplearn_solo.cli.options import add_pretrained, parser_of
from cplearn_solo.core.files import write_csv
from cplearn_solo.core.lines import on_a_line
from cplearn_solo.core.numbers import counted

DUPLICATES = """Finds images that are nearly the same to a trained model, and groups them, the closest group first.

  cplearn duplicates RUN IMAGES                       prints groups
  cplearn duplicates RUN IMAGES --out groups.csv      columns group, file

IMAGES is a folder, a list, an archive, a parquet file, several of them ('part-*'), or the name of a data set on the
hub. All pairs are compared: twice as many images take four times as long."""

NEIGHBOURS = 30  # nearest images of each that are considered, more than the images of a burst


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    parser = parser_of("duplicates", DUPLICATES)
    add_pretrained(parser)
    parser.add_argument("images", metavar="IMAGES", help="labels are not needed")
    parser.add_argument("--out", metavar="FILE", help="a new .csv for the groups")
    add_image_options(parser)
    return parser


def duplicates_task(options: argparse.Namespace) -> None:
    """Compares all images, with a progress bar, and prints the groups or writes them to a file."""
    from cplearn_solo.inference.targets import new_file

    out = options.out and new_file("out", options.out, (".csv",), ".csv")
    reading = check_image_options(options)

    from cplearn_solo.album.neighbours import largest_distance, near_duplicates, nearest
    from cplearn_solo.gallery.see import see
    from cplearn_solo.inference.images import file_names, images_at

    model, device = loaded_model(options)
    images = images_at(model, options.images, reading.data, in_order=True)
    with progress_bar(len(images)) as show:
        seen = see(
            model,
            images,
            batch_size=options.batch_size,
            num_workers=reading.num_workers,
            device=device,
            most=len(images),
            progress=partial(show, "images"),
        )
        x = seen.directions()
        near = nearest(x, NEIGHBOURS, progress=partial(show, "pairs"))
        groups = [file_names(images, seen.rows[group].tolist()) for group in near_duplicates(x, near)]
    rows = [(number, name) for number, names in enumerate(groups, 1) for name in names]
    if out:
        new_file("out", out, (".csv",))  # another program may have written it meanwhile
        write_csv(out, [("group", "file"), *rows])
    else:
        for names in groups:
            print("\n  ".join(map(on_a_line, names)))
    where, of = f"{out}: " if out else "", counted(len(seen), "image")
    apart = f", at most {largest_distance(near):.2g} apart" if len(seen) > 1 else ""
    print(f"{where}{counted(len(groups), 'group')} of near-duplicates with {len(rows)} of {of}{apart}")
    if seen.unreadable:
        print(f"{seen.unreadable} of {len(images)} images could not be read")
