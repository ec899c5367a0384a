"""Representations of any number of images in a file, in constant memory; a killed call goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError, require, unknown
from cplearn_solo.core.files import whole_file
from cplearn_solo.data import FileSet, ImageSet, Normalise, eval_loader
from cplearn_solo.data.file_loader import lost_workers_told
from cplearn_solo.data.fingerprint import fingerprint
from cplearn_solo.data.workers import Workers
from cplearn_solo.inference.formats import ABOUT, WRITERS, X, as_column, companion
from cplearn_solo.inference.images import file_names
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.shards import Shards

SPACES = ("backbone", "projector", "bits")
SHARD = 8192  # images, about
UNREADABLE = b"unreadable"  # in the metadata of a shard


@dataclass(frozen=True)
class Embedded:
    """``file`` has ``rows`` of ``width`` numbers; ``unreadable`` images are listed in ``listed``, if there are any."""

    file: Path
    rows: int
    width: int
    unreadable: int
    listed: Path | None


@torch.no_grad()
def embed(
    model: Pretrained,
    images: ImageSet,
    out: str | Path,
    *,
    space: str = "backbone",
    half: bool = False,
    batch_size: int = 256,
    num_workers: Workers = "auto",
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Embedded:
    """Writes a row for each image that can be read, in order: file, representation, code and confidence.

    ``space``: ``backbone`` for representations Z ``(n, d)``, ``projector`` for embeddings H ``(n, f)``, both float32 or
    with ``half`` float16, or ``bits``: whether H > 0, eight to a uint8 ``(n, ceil(f / 8))``, the first one highest.
    Codes and their probability are there if the method has codes. ``out`` ends in one of ``WRITERS``. ``model`` is on
    ``device``. ``progress`` is called with (images done, images in all).

    Rows are those of :func:`cplearn_solo.inference.features.extract`. Work is kept in a hidden folder beside ``out``
    until that is whole; the same call goes on with it and leaves the same bytes. Raises ``InputError`` for a file that
    exists, and for bits of a method without codes.
    """
    out = check_out(out)
    check_space(model, space, half)
    shards, listed = Shards(out), out.with_name(f"{out.name}.unreadable.csv")
    if not len(shards):  # else they are its own
        _require_new(*filter(None, (companion(out), listed)))
    call = _call(model, images, space=space, half=half, batch_size=batch_size, device=torch.device(device).type)
    each = max(1, SHARD // batch_size) * batch_size
    with shards.opened(call):
        first = len(shards) * each
        done, parts, unreadable = first, [], []
        for feats, bad in representations(model, images, first, batch_size, num_workers, device):
            parts.append(_columns(model, feats, space, half))
            unreadable += bad
            done += len(feats)
            progress(done, len(images))
            if done - first == each or done == len(images):
                shards.add(_table(images, range(first, done), parts, unreadable, call))
                first, parts, unreadable = done, [], []
        refused = [one for shard in shards for one in json.loads(shard.schema.metadata[UNREADABLE])]
        if refused:
            _write_list(listed, refused)
        WRITERS[out.suffix](out, shards)
        width = next(iter(shards)).schema.field(X).type.list_size
    return Embedded(out, len(images) - len(refused), width, len(refused), listed if refused else None)


def check_out(out: str | Path) -> Path:
    """``out``, by default a .parquet; raises ``InputError`` unless it is a new file of a known kind in a folder."""
    path = Path(out)
    path = path if path.suffix else path.with_name(f"{path.name}.parquet")
    require(path.suffix in WRITERS, "OUT", str(out), f"a file that ends in {', '.join(WRITERS)}")
    require(path.parent.is_dir(), "OUT", str(out), f"in a folder, there is no folder {path.parent}")
    _require_new(path)
    return path


def check_space(model: Pretrained, space: str, half: bool) -> None:
    """Raises ``InputError`` for a space that the run does not have."""
    if space not in SPACES:
        raise unknown("space", space, SPACES)
    wanted = f"backbone or projector, {model.config.method} has no codes"
    require(space != "bits" or model.method.codes_total is not None, "space", space, wanted)
    require(not half or space != "bits", "half", half, "left out where space is bits")


def _require_new(*files: Path) -> None:
    for file in files:
        require(not file.exists(), "OUT", str(file), "a new file, that one exists already")


def _call(model: Pretrained, images: ImageSet, **given: Any) -> dict[str, Any]:
    """All that decides what is written."""
    run = blake2b(np.memmap(model.checkpoint, mode="r"), digest_size=8).hexdigest()
    decoding = {"decoding": repr(images.decoding)} if isinstance(images, FileSet) else {}
    return {"run": run, "images": fingerprint(images, None)["train"], **decoding, **given}


def representations(
    model: Pretrained, images: ImageSet, start: int, batch_size: int, workers: Workers, device: torch.device | str
) -> Iterator[tuple[Tensor, list[int]]]:
    """Representations ``(n, d)`` of each batch of the images from ``start`` on, and which could not be read."""
    if start >= len(images):
        return
    rest = images.subset(torch.arange(start, len(images)))
    crop_size = model.config.augmentations[0].crop_size
    loader = eval_loader(rest, crop_size=crop_size, batch_size=batch_size, num_workers=workers)
    normalise = Normalise(images.mean, images.std)
    with lost_workers_told(workers):
        for index, batch, _ in loader:
            feats = model.backbone(normalise(batch.to(device, non_blocking=True))).float()
            bad = loader.unreadable.intersection(index.tolist()) if isinstance(rest, FileSet) else ()
            yield feats, sorted(start + i for i in bad)


def _columns(model: Pretrained, feats: Tensor, space: str, half: bool) -> pa.Table:
    """What is written of a batch, but for the names."""
    z = feats if space == "backbone" else model.method.embed(feats).float()
    x = pack_bits(z) if space == "bits" else z.cpu().numpy()
    columns = {X: as_column(_in_half(x) if half else x)}
    if model.method.codes_total is not None:
        code, confidence = (values.cpu().numpy() for values in model.method.assign_with_confidence(feats))
        columns |= {"code": code, "confidence": confidence.astype(np.float32)}
    return pa.table(columns)


def _in_half(x: np.ndarray) -> np.ndarray:
    largest, most = np.abs(x).max(), np.finfo(np.float16).max
    wanted = f"left out, there are numbers of {largest:.6g} and float16 ends at {most:.0f}"
    require(largest <= most, "half", True, wanted)
    return x.astype(np.float16)


def pack_bits(h: Tensor) -> np.ndarray:
    """Whether H ``(n, f)`` > 0, eight to a uint8 ``(n, ceil(f / 8))``, the first one highest, as in the dictionary."""
    return np.packbits((h > 0).cpu().numpy(), axis=1)


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


def _write_list(file: Path, refused: list[list[str]]) -> None:
    files, reasons = zip(*refused)
    with whole_file(file) as partial:
        pacsv.write_csv(pa.table({"file": files, "reason": reasons}), partial)
