"""The training and scoring images that a ``DataConfig`` asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cplearn_solo.data.checks import check_data
from cplearn_solo.data.decoding import Decoding, measured_range
from cplearn_solo.data.fingerprint import fingerprint
from cplearn_solo.data.image_set import FileSet, ImageSet, decoded_if_small, in_channels
from cplearn_solo.data.overlap import check_overlap
from cplearn_solo.data.schema import RGB, DataConfig
from cplearn_solo.data.selection import first, halves, parts
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.sources.places import absolute
from cplearn_solo.data.statistics import NORMALISATION, channel_statistics

TABLES = ("parquet", "hub")  # often of small images, which are then decoded once


@dataclass(frozen=True)
class Splits:
    """``train`` to learn from, ``test`` to score on (None: nothing to score), and ``name`` of ``test``: test or val.

    A linear probe and nearest neighbours learn from the labelled images in ``probe``: those of ``train``, or, if these
    have no labels, half of the labelled images in ``data.val_path``; then ``test`` is the other half. ``probe`` and
    ``test`` are decoded in the same way, even if only one has small images of one size, or their sizes differ.
    ``fingerprint`` is that of the data, for ``describe_change``.
    """

    train: ImageSet
    probe: ImageSet
    test: ImageSet | None
    name: str
    fingerprint: dict[str, Any]


def load_splits(
    cfg: DataConfig,
    *,
    seed: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    limits: tuple[float, float] | None = None,
) -> Splits:
    """The images ``cfg`` asks for; every selection is a function of ``cfg`` and ``seed`` only.

    ``mean`` and ``std`` (a number per channel) replace those of the data set in all parts, ``limits`` the values that
    ``data.range: auto`` would measure. Raises ``InputError`` for anything missing, unreadable or out of range.
    """
    check_data(cfg)
    if cfg.dataset != "hub":
        cfg = replace(cfg, train_path=absolute(cfg.train_path), val_path=absolute(cfg.val_path))
    train, test = DATASETS[cfg.dataset](cfg, cfg.val_split == 0)  # else the test images are not even opened
    found = fingerprint(train, test)
    train, held = parts(train, cfg, seed)
    test = test if held is None else held
    if test is not None:
        test = first(test, cfg.max_val_images)
        check_overlap(train, test, cfg)

    at_once, one_by_one = _readers(train, cfg, seed, limits)
    undecoded, train, test = (train, test), at_once(train), test and at_once(test)
    probe = train
    if test is not None and not cfg.no_labels and _size(train) != _size(test):  # they would be seen at two sizes
        probe, test = map(one_by_one, undecoded)
    customary = NORMALISATION.get(cfg.dataset) if cfg.channels == RGB else None
    own = (mean, std) if mean and std else customary or channel_statistics(train, seed)
    normalisation = {"mean": tuple(mean or own[0]), "std": tuple(std or own[1])}
    probe = None if probe is train else replace(probe, **normalisation)
    train, test = replace(train, **normalisation), test and replace(test, **normalisation)
    if cfg.no_labels and test is not None:
        probe, test = halves(test)
        check_overlap(probe, test, cfg, also="in the half of data.val_path that a probe learns from")
    else:
        probe = probe or train
    name = "val" if cfg.val_split else "test"
    return Splits(train=train, probe=probe, test=test, name=name, fingerprint=found)


def _size(images: ImageSet) -> tuple[int, ...]:
    """Height and width of images in memory; empty for files, which are all resized to the same size."""
    return () if isinstance(images, FileSet) else tuple(images.images.shape[2:])


def _readers(
    train: ImageSet, cfg: DataConfig, seed: int, limits: tuple[float, float] | None
) -> tuple[Callable[[ImageSet], ImageSet], Callable[[ImageSet], ImageSet]]:
    """Two functions that make a part readable: the first decodes small images of one size in tables at once, the second
    decodes files and tables only on request."""
    if not isinstance(train, FileSet):
        return partial(in_channels, cfg=cfg), partial(in_channels, cfg=cfg)
    decoding = Decoding.of(cfg)
    if cfg.range == "auto":
        decoding = replace(decoding, limits=limits or measured_range(train.sources, decoding, seed))
    with_decoding = partial(replace, decoding=decoding, max_unreadable=cfg.max_unreadable)
    with_decoding(train).read(0)  # raises at once if none can be read
    at_once = (lambda images: decoded_if_small(with_decoding(images))) if cfg.dataset in TABLES else with_decoding
    return at_once, with_decoding
