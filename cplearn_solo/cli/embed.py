"""``cplearn embed``: the vectors of images in a file."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from cplearn_solo.cli.over_images import image_parser, over_images, tell_unreadable
from cplearn_solo.core.numbers import counted
from cplearn_solo.inference.targets import check_asked, new_file

if TYPE_CHECKING:
    from cplearn_solo.inference.pretrained import Pretrained

EMBED = """Writes the representations of images, their codes and the codes' confidence to a file, one row per image.

  cplearn embed RUN IMAGES out.parquet                     columns file, representation, code, confidence
  cplearn embed RUN IMAGES out.npz --half                  arrays file, features, codes, confidence in 16 bits
  cplearn embed RUN IMAGES out.npy --space projector       an array, and the other columns in out.csv
  cplearn embed RUN IMAGES out.csv                         columns file, code, confidence, x0, x1, ...
  cplearn embed RUN IMAGES out.parquet --space bits        signs of the embeddings, eight to a byte"""


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    parser = image_parser("embed", EMBED, out="a new .parquet (also without an ending), .npz, .npy or .csv")
    parser.add_argument("--space", default="backbone", help="backbone, projector or bits (default: %(default)s)")
    parser.add_argument("--half", action="store_true", help="float16 instead of float32")
    return parser


def embed_task(options: argparse.Namespace) -> None:
    """Embeds with a progress bar and says what is in the file."""
    from cplearn_solo.inference.formats import WRITERS

    new_file("OUT", options.out, WRITERS, ".parquet")
    check_asked(options.space, options.half)

    def writer_of(model: Pretrained) -> Any:
        from cplearn_solo.inference.embed import check_space, embed

        check_space(model, options.space, options.half)
        return partial(embed, model, space=options.space, half=options.half)

    model, found = over_images(options, writer_of)
    width = found.schema.field("representation").type.list_size
    kind = "uint8 of eight bits" if options.space == "bits" else "float16" if options.half else "float32"
    codes = "" if model.method.codes_total is None else f", codes out of {model.method.codes_total}"
    print(f"{found.file}: {counted(found.rows, 'image')}, {width} {kind} each{codes}")
    tell_unreadable(found)
