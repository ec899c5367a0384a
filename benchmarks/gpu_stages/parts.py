"""The work folders of unfinished cells as parts of a tar file that are small enough to copy anywhere."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

PART_BYTES = 15 << 20
NEEDED = ("cell.json", "config.yaml", "log.txt", "*/*/config.yaml", "*/*/metrics.csv", "*/*/checkpoints/last.ckpt")


def pack(work: Path, out: Path, *, order: list[tuple[str, int]], megabytes: int) -> list[str]:
    """Writes ``out/work.00`` and so on with as many cells in ``order`` as fit; returns which were kept or not."""
    for old in out.glob("work.[0-9][0-9]"):
        old.unlink()
    memory, said = io.BytesIO(), []
    with tarfile.open(fileobj=memory, mode="w") as tar:
        for folder, name in _unfinished(work, order):
            files = [path for pattern in NEEDED for path in folder.glob(pattern)]
            size = sum(path.stat().st_size for path in files)
            if memory.tell() + size > megabytes << 20:
                said.append(f"not {name}, {size >> 20} MB")
                continue
            for path in files:
                tar.add(path, path.relative_to(work))
            said.append(name)
    content = memory.getvalue() if said else b""
    for number, start in enumerate(range(0, len(content), PART_BYTES)):
        (out / f"work.{number:02}").write_bytes(content[start : start + PART_BYTES])
    return said


def unpack(out: Path, work: Path) -> None:
    """Restores files that :func:`pack` has kept, unless there are newer ones."""
    parts = sorted(out.glob("work.[0-9][0-9]"))
    if not parts:
        return
    with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as tar:
        for member in tar:
            target = work / member.name
            if not target.exists() or target.stat().st_mtime < member.mtime:
                tar.extract(member, work, filter="data")


def _unfinished(work: Path, order: list[tuple[str, int]]) -> list[tuple[Path, str]]:
    """Folders and names of cells with a checkpoint and no result, in ``order``."""
    found = {}
    for last in work.glob("*/*/*/*/checkpoints/last.ckpt"):
        folder = last.parents[3]
        config = (folder / "config.yaml").read_text()
        row = json.loads((folder / "cell.json").read_text())["row"]
        seed = next((seed for name, seed in order if name == row and f"\nseed: {seed}\n" in config), None)
        if seed is not None and not (folder / "result.json").exists():
            found[row, seed] = folder
    return [(found[cell], f"{cell[0]}, seed {cell[1]}") for cell in order if cell in found]
