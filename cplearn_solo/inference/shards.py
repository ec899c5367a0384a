"""A long computation as files of some rows each, so that after a kill the next call goes on with the next file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from cplearn_solo.core.errors import require
from cplearn_solo.core.files import whole_file, write_file, write_json
from cplearn_solo.core.locks import try_lock

CALL = "call.json"  # the call that makes the shards
WRITING = "writing"  # exists once their target is being written


class Shards:
    """Arrow tables of one schema in a hidden folder beside ``target``, in order, each complete or absent."""

    def __init__(self, target: Path) -> None:
        self.target, self.folder = target, target.with_name(f".{target.name}.parts")

    @contextmanager
    def opened(self, call: Mapping[str, Any]) -> Iterator[None]:
        """The shards of ``call``, plain values that determine their content; they are deleted when the block
        ends, but kept after an error.

        Raises ``InputError`` if another call has left shards, or is writing them.
        """
        if len(self):
            old = json.loads((self.folder / CALL).read_text())
            other = ", ".join(key for key in call if old.get(key) != call[key])
            wanted = f"another name, or {self.folder} deleted, which holds part of a call with other {other}"
            require(not other, "OUT", str(self.target), wanted)
        self.folder.mkdir(exist_ok=True)
        lock = try_lock(self.folder / "lock")
        require(lock is not None, "OUT", str(self.target), "another name, a process is writing that one")
        done = False
        try:
            write_json(self.folder / CALL, dict(call))
            yield
            done = True
        finally:
            lock.release()
            if done or not len(self):
                shutil.rmtree(self.folder)

    def __len__(self) -> int:
        return len(list(self.folder.glob("*.arrow")))

    @property
    def writing(self) -> bool:
        """Whether a call had all shards and began to write ``target`` and the files beside it."""
        return (self.folder / WRITING).exists()

    def begin_to_write(self) -> None:
        """Records that from now on files of these names were written by this call."""
        write_file(self.folder / WRITING, "")

    def add(self, table: pa.Table) -> None:
        """Writes the next shard."""
        with (
            whole_file(self.folder / f"{len(self):06d}.arrow") as file,
            pa.OSFile(os.fsencode(file), "wb") as out,
            pa.ipc.new_file(out, table.schema) as writer,
        ):
            writer.write_table(table)

    def __iter__(self) -> Iterator[pa.Table]:
        """Each shard, mapped into memory."""
        for file in sorted(self.folder.glob("*.arrow")):
            with pa.memory_map(os.fsencode(file)) as mapped:
                yield pa.ipc.open_file(mapped).read_all()
