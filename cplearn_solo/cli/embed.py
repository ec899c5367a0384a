"""``cplearn embed``: the vectors of images in a file."""

from __future__ import annotations

import argparse

from cplearn_solo.cli.image_options import add_image_options, checked_workers

EMBED = """Writes representations of images, their codes and the confidence of these to a file, a row an image.

  cplearn embed RUN IMAGES out.parquet                     columns file, representation, code, confidence
  cplearn embed RUN IMAGES out.npz --half                  arrays file, features, codes, confidence in 16 bits
  cplearn embed RUN IMAGES out.npy --space projector       an array, and the other columns in out.csv
  cplearn embed RUN IMAGES out.csv                         columns file, code, confidence, x0, x1, ...
  cplearn embed RUN IMAGES out.parquet --space bits        signs of the embeddings, eight to a byte

IMAGES is a folder, a list, an archive, a parquet file, several of them ('part-*'), or the name of a data set on the
hub. A killed call goes on where it was when the same command is typed again."""


def read_options(arguments: list[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="embed", description=EMBED, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pretrained", metavar="RUN_OR_CHECKPOINT")
    parser.add_argument("images", metavar="IMAGES", help="labels are not needed")
    parser.add_argument("out", metavar="OUT", help="a new .parquet (also without an ending), .npz, .npy or .csv")
    parser.add_argument("--space", default="backbone", help="backbone, projector or bits (default: %(default)s)")
    parser.add_argument("--half", action="store_true", help="float16 instead of float32")
    add_image_options(parser)
    return parser.parse_args(arguments)


def embed_task(options: argparse.Namespace) -> None:
    """Embeds with a progress bar and says what is in the file."""
    workers = checked_workers(options)

    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from cplearn_solo.cli.data_keys import data_keys
    from cplearn_solo.inference.devices import choose_device
    from cplearn_solo.inference.embed import check_out, check_space, embed
    from cplearn_solo.inference.images import images_at
    from cplearn_solo.inference.pretrained import load_pretrained

    check_out(options.out)
    device = choose_device(options.accelerator)
    model = load_pretrained(options.pretrained, device=device)
    check_space(model, options.space, options.half)
    images = images_at(model, options.images, data_keys(options.data))
    with Progress(
        *Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("images", total=len(images))
        found = embed(
            model,
            images,
            options.out,
            space=options.space,
            half=options.half,
            batch_size=options.batch_size,
            num_workers=workers,
            device=device,
            progress=lambda done, total: bar.update(task, completed=done),
        )
    kind = "uint8 of eight bits" if options.space == "bits" else "float16" if options.half else "float32"
    codes = "" if model.method.codes_total is None else f", codes out of {model.method.codes_total}"
    print(f"{found.file}: {found.rows} images, {found.width} {kind} each{codes}")
    if found.listed:
        print(f"{found.listed}: {found.unreadable} of {len(images)} images, which could not be read")
