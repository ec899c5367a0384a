"""Places of images in arrays: what they hold, and that workers share them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cplearn_solo.core.memory import held_alone
from cplearn_solo.data.index import Files, Joined, Names, Selected
from cplearn_solo.data.sources.columns import Rows

WORDS = [b"", b"a/b.png", b"\xff", "ä".encode(), b"c"]
COUNT = 200_000


def files(words: list[bytes], root: str = "/images") -> Files:
    return Files(root, Names.of(words), np.arange(len(words)))


def test_names() -> None:
    names = Names.of(WORDS)
    assert list(names) == WORDS and names[-2] == WORDS[-2]
    assert list(pickle.loads(pickle.dumps(names))) == WORDS
    for beyond in (5, -6):
        with pytest.raises(IndexError):
            names[beyond]


def test_several_and_some_of_them() -> None:
    both = Joined([files(WORDS), files([]), files([b"x", b"y"], root="/more")])
    assert list(both)[4:] == ["/images/c", "/more/x", "/more/y"]
    assert both.sizes.tolist() == [0, 1, 2, 3, 4, 0, 1]
    some = Selected(Selected(both, np.array([6, 1, 5])), np.array([2, 0]))
    assert list(some) == ["/more/x", "/more/y"] and some.key(1) == b"y" and some.sizes.tolist() == [0, 1]
    assert not isinstance(some.sources, Selected)
    assert list(Selected(["a", "b"], np.array([1]))) == ["b"]


def test_names_of_several_places_are_text_whatever_bytes_these_are_of() -> None:
    both = Joined([files([b"x"], root=os.fsdecode(b"/images/\xe4")), files([b"\xff"], root="/images/b")])
    assert [both.file(i) for i in range(2)] == [r"\xe4/x", r"b/\xff"]


def grown(sources: Sequence) -> float:
    """Megabytes that become a forked process's own while it looks at every source."""
    read, write = os.pipe()
    if os.fork() == 0:
        before = held_alone(os.getpid()) if sources[0] else 0
        for i in range(len(sources)):
            sources[i]
        os.write(write, str((held_alone(os.getpid()) - before) / 1e6).encode())
        os._exit(0)
    os.wait()
    return float(os.read(read, 100))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux says what is shared")
def test_workers_share_the_index() -> None:
    words = [f"class/{i:060d}.png".encode() for i in range(COUNT)]
    index = files(words)
    assert grown(Selected(index, np.random.default_rng(0).permutation(COUNT))) < 2
    rows = Rows(pa.chunked_array([pa.array(words, pa.binary())]), "a.parquet")
    assert grown(rows) < 2
    assert grown(list(index)) > 10  # what it would be
