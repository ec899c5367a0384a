"""Writes a row per image to a file, for any number of images in constant memory; a killed call can go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import write_csv
from cplearn_solo.core.out_of_memory import large_batch_told
from cplearn_solo.core.stops import at_stop
from cplearn_solo.data import FileSet, ImageSet, Normalise, eval_loader
from cplearn_solo.data.file_loader import lost_workers_told
from cplearn_solo.data.fingerprint import fingerprint
from cplearn_solo.data.sources.written import ABOUT
from cplearn_solo.data.workers import Workers
from cplearn_solo.inference.formats import WRITERS, companion
from cplearn_solo.inference.images import file_names
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.shards import Shards
from cplearn_solo.inference.targets import require_new

SHARD = 8192  # images, about
UNREADABLE = b"unreadable"  # in the metadata of a shard


@dataclass(frozen=True)
class Written:
    """``file`` has ``rows`` of ``schema``; ``unreadable`` images are listed in ``listed``, if there are any."""

    file: Path
    rows: int
    schema: pa.Schema
    unreadable: int
    listed: Path | None


@torch.no_grad()
def write_rows(
    model: Pretrained,
    images: ImageSet,
    out: Path,
    columns: Callable[[Tensor], pa.Table],
    about: Mapping[str, Any],
    *,
    batch_size: int = 256,
    num_workers: Workers = "auto",
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Writes a row for each image that can be read, in order: its file, and ``columns`` of its representation.

    ``columns`` takes representations ``(n, d)`` of a batch; ``about`` has the plain values that determine its result,
    except for the run. ``model`` is on ``device``. ``out`` is a new file of ``WRITERS``. ``progress`` is called with
    (images done, images in all).

    Until ``out`` is complete, work is kept in a hidden folder beside it; the same call goes on with it and writes the
    same bytes. Raises ``InputError`` for a file that exists.
    """
    shards, listed = Shards(out), out.with_name(f"{out.name}.unreadable.csv")
    beside = [file for file in (companion(out), listed) if file]
    if not shards.writing:  # else this call has written them
        require_new("OUT", *beside)
    call = _call(model, images, **about, batch_size=batch_size, device=torch.device(device).type)
    each = max(1, SHARD // batch_size) * batch_size
    with (
        at_stop("stopped; the same command goes on"),
        shards.opened(call),
        large_batch_told("batch_size", batch_size, device),
    ):
        first = len(shards) * each
        done, parts, unreadable = first, [], []
        for feats, bad in representations(model, images, first, batch_size, num_workers, device):
            parts.append(columns(feats))
            unreadable += bad
            done += len(feats)
            progress(done, len(images))
            if done - first == each or done == len(images):
                shards.add(_table(images, range(first, done), parts, unreadable, call))
                first, parts, unreadable = done, [], []
        if not shards.writing:
            require_new("OUT", out, *beside)  # another program may have written one meanwhile
            shards.begin_to_write()
        refused = [one for shard in shards for one in json.loads(shard.schema.metadata[UNREADABLE])]
        if refused:
            write_csv(listed, [("file", "reason"), *refused])
        WRITERS[out.suffix](out, shards)
        schema = next(iter(shards)).schema
    return Written(out, len(images) - len(refused), schema, len(refused), listed if refused else None)


def representations(
    model: Pretrained, images: ImageSet, start: int, batch_size: int, workers: Workers, device: torch.device | str
) -> Iterator[tuple[Tensor, list[int]]]:
    """Representations of each batch of images from ``start`` on, and the indices of those that could not be read."""
    if start >= len(images):
        return
    rest = images.subset(torch.arange(start, len(images)))
    crop_size = model.config.augmentations[0].crop_size
    loader = eval_loader(rest, crop_size=crop_size, batch_size=batch_size, num_workers=workers, device=device)
    normalise = Normalise(images.mean, images.std)
    with lost_workers_told(workers):
        for index, batch, _ in loader:
            feats = model.backbone(normalise(batch.to(device, non_blocking=True))).float()
            bad = loader.unreadable.intersection(index.tolist()) if isinstance(rest, FileSet) else ()
            yield feats, sorted(start + i for i in bad)


def run_hash(model: Pretrained) -> str:
    """Identifies a run at one time: a hash of its checkpoint."""
    return blake2b(model.content, digest_size=8).hexdigest()


def _call(model: Pretrained, images: ImageSet, **given: Any) -> dict[str, Any]:
    """Everything that determines what is written."""
    decoding = {"decoding": images.decoding.plain()} if isinstance(images, FileSet) else {}
    return {"run": run_hash(model), "images": fingerprint(images, None)["train"], **decoding, **given}


def _table(
    images: ImageSet, rows: range, parts: list[pa.Table], unreadable: list[int], call: dict[str, Any]
) -> pa.Table:
    """The shard of the images in ``rows``."""
    table = pa.concat_tables(parts).combine_chunks()
    table = table.add_column(0, "file", pa.array(file_names(images, rows), pa.string()))
    readable = np.ones(len(rows), bool)
    readable[np.array(unreadable, np.int64) - rows.start] = False
    refused = [[table["file"][i - rows.start].as_py(), _reason(images, i)] for i in unreadable]
    metadata = {ABOUT: json.dumps(call).encode(), UNREADABLE: json.dumps(refused).encode()}
    return table.filter(readable).replace_schema_metadata(metadata)


def _reason(images: FileSet, i: int) -> str:
    try:
        images.load(i)
    except InputError as error:
        return str(error)
    return "it can be read by now"
