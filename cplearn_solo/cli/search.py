"""``cplearn search``: finds the images of an index that are nearest to query images."""

from __future__ import annotations

import argparse
import os

from cplearn_solo.cli.image_options import add_accelerator, check_accelerator, loaded_model
from cplearn_solo.cli.options import add_pretrained, parser_of
from cplearn_solo.core.errors import require
from cplearn_solo.core.files import write_csv
from cplearn_solo.core.lines import on_a_line
from cplearn_solo.engine.find import find_checkpoint
from cplearn_solo.inference.targets import new_file

SEARCH = """Finds the images of an index that are nearest to others: by Hamming distance in an index of bits, else by
cosine around the mean of the index.

  cplearn embed RUN IMAGES index.parquet --space bits        the index; also without --space bits
  cplearn search RUN index.parquet photo.jpg                 the ten nearest
  cplearn search RUN index.parquet *.jpg --out found.csv     of each of several
  cplearn search RUN index.parquet a.jpg b.jpg --together    like both
  cplearn search RUN index.parquet a.jpg --without b.jpg     like the one and unlike the other"""


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    parser = parser_of("search", SEARCH)
    add_pretrained(parser, help="the run that made the index")
    parser.add_argument("index", metavar="INDEX", help="a .parquet of cplearn embed")
    parser.add_argument("queries", nargs="+", metavar="QUERY", help="image files")
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="images to find for each query (default: %(default)s)"
    )
    parser.add_argument("--together", action="store_true", help="all queries as one")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="IMAGE", help="unlike these; with --together or one query"
    )
    parser.add_argument("--out", metavar="FILE", help="a new .csv for what is found")
    add_accelerator(parser)
    return parser


def search_task(options: argparse.Namespace) -> None:
    """Searches and prints what is found."""
    from cplearn_solo.inference.formats import check_index

    require(options.top >= 1, "top", options.top, "at least 1")
    one = options.together or len(options.queries) == 1
    require(one or not options.without, "without", " ".join(options.without), "with --together, or with one query")
    out = options.out and new_file("out", options.out, (".csv",), ".csv")
    check_accelerator(options.accelerator)
    find_checkpoint(options.pretrained)
    check_index(options.index)
    for key, paths in (("QUERY", options.queries), ("without", options.without)):
        for path in paths:
            require(os.path.isfile(path), key, path, "an image file that exists")

    from cplearn_solo.inference.images import image_files
    from cplearn_solo.inference.search import Index, names_of, vectors

    index = Index(options.index)
    model, device = loaded_model(options)
    index.check_run(model)
    files = [*options.queries, *options.without]
    x = vectors(model, image_files(model, files, index.decoding), index.space, device=device)
    titles, count = options.queries, len(options.queries)
    if options.together or options.without:
        titles = [" and ".join(options.queries) + "".join(f" without {file}" for file in options.without)]
        x = index.together(x[:count], x[count:])
    found = index.nearest(x, options.top)
    rows = [
        (title, rank, f"{near:.4f}" if near.dtype.kind == "f" else str(near), name)
        for title, nearness, places in zip(titles, found.nearness, found.rows)
        for rank, (near, name) in enumerate(zip(nearness, names_of(index, places)), 1)
    ]
    measure = "distance" if index.space == "bits" else "cosine"
    if out:
        write_csv(out, [("query", "rank", measure, "file"), *rows])
        print(f"{out}: {len(rows)} rows, {len(titles)} queries in {len(index)} images")
        return
    for title, rank, near, name in rows:
        if rank == 1:
            print(f"{on_a_line(title)}\n  rank  {measure:>8}  file")
        print(f"  {rank:4}  {near:>8}  {on_a_line(name)}")
