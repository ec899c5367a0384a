"""What signs of embeddings find, against their floats: python benchmarks/search.py RUN [RUN ...]

For each run, each held-out image is a query among the others. ``bits``: signs of the embeddings H, compared by Hamming
distance. H and the representations Z are compared by cosine around their mean. ``recall``: share of the ten nearest by
H that are among the ten nearest in the row's space. ``precision``: share of the ten nearest with the query's class.
``a and b``: share of the ten nearest with one of the two classes, for queries that combine two images of different
classes. ``queries/s``: single queries per second among a million random vectors of the same size.
"""

from __future__ import annotations

import sys
import time

import faiss
import numpy as np
import torch
from torch import Tensor

from cplearn_solo.code_algebra import bundle
from cplearn_solo.inference.embed import pack_bits
from cplearn_solo.inference.features import extract
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained
from cplearn_solo.inference.splits import require_held_out, splits_of

NEAREST, PAIRS, MANY = 10, 1000, 1_000_000


class Floats:
    """Rows as unit vectors around their mean."""

    def __init__(self, x: Tensor) -> None:
        x = x.double().numpy()
        centred = x - x.mean(axis=0)
        self.x = (centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)).astype(np.float32)
        self.index, self.bytes = faiss.IndexFlatIP(self.x.shape[1]), 4 * self.x.shape[1]
        self.index.add(self.x)

    def both(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self.x[a] + self.x[b]


class Signs:
    """Signs as bits."""

    def __init__(self, x: Tensor) -> None:
        self.x = pack_bits(x)
        self.index, self.bytes = faiss.IndexBinaryFlat(8 * self.x.shape[1]), self.x.shape[1]
        self.index.add(self.x)

    def both(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.stack([bundle(self.x[[i, j]]) for i, j in zip(a, b)])


def main() -> None:
    print(f"{'run':40}{'space':8}{'bytes':>6}{'recall':>9}{'precision':>11}{'a and b':>9}{'queries/s':>11}")
    for place in sys.argv[1:]:
        model = load_pretrained(place)
        z, h, y = embedded(model)
        codes = f", {c} codes" if (c := model.method.codes_total) else ""
        ways = {"Z": Floats(z), "H": Floats(h), "bits": Signs(h)}
        near = {name: neighbours(way) for name, way in ways.items()}
        a, b = pairs(y)
        for name, way in ways.items():
            recall = np.mean([len(set(p) & set(q)) for p, q in zip(near[name], near["H"])]) / NEAREST
            precision = (y[near[name]] == y[:, None]).mean()
            found = without(way.index.search(way.both(a, b), NEAREST + 2)[1], a, b)
            either = ((y[found] == y[a, None]) | (y[found] == y[b, None])).mean()
            title = f"{model.config.name} {model.config.seed}{codes}" if name == "Z" else ""
            numbers = f"{way.bytes:6}{recall:9.3f}{precision:11.3f}{either:9.3f}{speed(way):11.0f}"
            print(f"{title:40}{name:8}{numbers}", flush=True)


@torch.no_grad()
def embedded(model: Pretrained) -> tuple[Tensor, Tensor, np.ndarray]:
    """Representations, embeddings and classes of the held-out images."""
    splits, data = splits_of(model, {})
    require_held_out(splits, data)
    crop_size = model.config.augmentations[0].crop_size
    found = extract(model.backbone, None, splits.test, crop_size=crop_size).labelled()
    return found.x, model.method.embed(found.x).float(), found.y.numpy()


def neighbours(way: Floats | Signs) -> np.ndarray:
    """The nearest rows of each row, without itself."""
    return without(way.index.search(way.x, NEAREST + 1)[1], np.arange(len(way.x)))


def without(rows: np.ndarray, *queries: np.ndarray) -> np.ndarray:
    """The first ten entries of each of ``rows`` that are not among its queries."""
    mine = np.stack(queries, axis=1)
    return np.stack([row[~np.isin(row, own)][:NEAREST] for row, own in zip(rows, mine)])


def pairs(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seeded pairs of images of different classes."""
    random = np.random.default_rng(0)
    a, b = random.integers(len(y), size=(2, 4 * PAIRS))
    other = y[a] != y[b]
    return a[other][:PAIRS], b[other][:PAIRS]


def speed(way: Floats | Signs, queries: int = 20) -> float:
    """Queries per second among many random vectors of the same size, on one thread."""
    faiss.omp_set_num_threads(1)
    random = np.random.default_rng(0)
    index = faiss.clone_binary_index(way.index) if isinstance(way, Signs) else faiss.clone_index(way.index)
    index.reset()
    for _ in range(MANY // 100_000):
        shape = (100_000, way.x.shape[1])
        bits = isinstance(way, Signs)
        index.add(random.integers(256, size=shape, dtype=np.uint8) if bits else random.random(shape, np.float32))
    start = time.process_time()
    for i in range(queries):
        index.search(way.x[i : i + 1], NEAREST)
    return queries / (time.process_time() - start)


if __name__ == "__main__":
    main()
