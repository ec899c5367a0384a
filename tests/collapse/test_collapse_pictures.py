"""The images of a collapse report: of the largest codes and near each other, and figures' panels and legends."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import noise_images, write_images

from cplearn_solo.album.sheets import COLUMNS, SIDE
from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.curves import code_usage, spectra
from cplearn_solo.collapse.epochs import scale
from cplearn_solo.collapse.groups import by_themselves
from cplearn_solo.collapse.page import report_page
from cplearn_solo.collapse.pictures import ASKED, CODES, MOST_BYTES, NEIGHBOURS, OF_CODE, Pictures, pictures
from cplearn_solo.collapse.protocols import PROTOCOLS
from cplearn_solo.collapse.scatter import training, tsne
from cplearn_solo.collapse.subject import Subject, choice
from cplearn_solo.collapse.tsne import map_of
from cplearn_solo.data.image_set import FileSet, MemorySet
from cplearn_solo.data.index import Files, Names
from cplearn_solo.metrics.verdict import collapse_verdict

N = 240
KINDS = torch.arange(N) % 12
CLASSES = ["cat", "dog", "2", "3", "4", "5"]
COLOURS = noise_images(N, 1, 1)
X = torch.eye(12)[KINDS] + 0.01 * torch.randn(N, 12, generator=torch.Generator().manual_seed(0))
CONFIDENCE = torch.linspace(0.1, 0.9, N)
CODED = {"codes": torch.where(KINDS < 11, KINDS, 40), "confidence": CONFIDENCE, "codes_total": 64}
LABELLED = {"labels": KINDS // 2, "classes": ("cat", "dog")}


def subject(name, images=True, **parts):
    held = MemorySet(COLOURS.expand(-1, -1, 8, 8), torch.full((N,), -1), 0)
    parts = {"features": X, "images": held if images else None, "places": torch.arange(N), **parts}
    return Subject((name,), Path(name), f"{N} images", **parts)


def compared(*subjects, mapped=False):
    groups, names = by_themselves(list(subjects))
    verdicts = [collapse_verdict(one.features, one.embeddings, one.codes) for one in subjects]
    maps = [map_of(one, seed=0) for one in subjects] if mapped else []
    return Comparison(list(subjects), names, groups, verdicts, [], {}, maps, PROTOCOLS["standard"], 0)


def made(*subjects):
    return pictures(compared(*subjects).examples, seed=0)


def colour(found, i):
    """The mean colour of a page's thumbnail."""
    sheet = np.asarray(Image.open(io.BytesIO(found.sheets[i // COLUMNS**2])), dtype=float)
    y, x = i // COLUMNS % COLUMNS * SIDE, i % COLUMNS * SIDE
    return sheet[y : y + SIDE, x : x + SIDE].mean(axis=(0, 1))


def test_images_that_could_not_be_read_may_be_among_those_shown(tmp_path):
    """Four of 240 may be, by a share of which those that are shown may have three."""
    write_images(tmp_path, ["good.png"])
    names = [b"good.png"] * N
    for shown in choice(N, ASKED, 0).tolist()[:4]:
        names[shown] = b"none.png"
    files = Files(str(tmp_path), Names.of(names), np.zeros(N, np.int64))
    images = FileSet(files, torch.full((N,), -1), 0, max_unreadable=0.02)
    with pytest.warns(UserWarning, match="4 of .* images could not be read"):
        assert made(replace(subject("files"), images=images)).sheets


def test_codes_and_neighbours_are_those_of_their_images():
    found = made(subject("other"), subject("coded", **CODED, **LABELLED))
    without, coded = found.views
    assert without.codes is None and (coded.used, len(coded.codes)) == (12, CODES)
    first = coded.codes[0]
    assert (first["size"], first["share"], first["purity"]) == (20, 1 / 12, 1)
    assert [code["label"] for code in coded.codes[:6]] == ["cat", "cat", "dog", "dog", "2", "2"]
    assert all(len(code["images"]) == OF_CODE for code in coded.codes)
    rows = [int(name) for name in found.names]
    for code in coded.codes:
        assert {KINDS[rows[i]].item() for i in code["images"]} == {code["number"]}
        sure = [CONFIDENCE[rows[i]].item() for i in code["images"]]
        assert sure == sorted(sure, reverse=True) and code["sure"] == (sure[0], sure[-1])
    centred = X - X.mean(dim=0)
    for view in found.views:
        assert len(view.neighbours) == ASKED
        for one in view.neighbours:
            asked, *near = (rows[i] for i in one["images"])
            cosines = torch.cosine_similarity(centred[asked], centred, dim=1)
            cosines[asked] = -1
            assert near == cosines.topk(NEIGHBOURS).indices.tolist()
    assert {(one["known"], one["alike"]) for one in coded.neighbours} == {(NEIGHBOURS, NEIGHBOURS)}
    asked = [[rows[one["images"][0]] for one in view.neighbours] for view in found.views]
    assert asked[0] == asked[1] and {one["label"] for one in without.neighbours} == {None}
    for i in (0, len(rows) - 1):
        assert np.abs(colour(found, i) - COLOURS[rows[i], :, 0, 0].numpy()).max() < 6


def test_images_are_numbered_among_all_of_which_the_samples_are_some():
    every = made(subject("coded", **CODED))
    whole = MemorySet(COLOURS.repeat_interleave(3, dim=0).expand(-1, -1, 8, 8), torch.full((3 * N,), -1), 0)
    some = made(replace(subject("coded", **CODED), images=whole, places=3 * torch.arange(N)))
    assert some.names == [str(3 * int(name)) for name in every.names] and some.sheets == every.sheets


def test_the_page_shows_them_without_a_script():
    comparison = compared(subject("coded", **CODED), subject("file", images=False))
    found = pictures(comparison.examples, seed=0)
    page = report_page(comparison, [], found)
    assert page.count('<span role="img"') == CODES * OF_CODE + ASKED * (1 + NEIGHBOURS)
    assert "The 10 largest of 12 codes in use" in page and "20 images, from" not in page
    assert "Images as coded sees them" in page and "Images as file sees them" not in page
    assert "file: a file of features does not tell its images" in page and "<script" not in page
    assert page.count("data:image/jpeg;base64,") == len(found.sheets) == 1


def test_files_of_features_have_no_images():
    assert made(subject("file", images=False)) == Pictures([], [], [])


def test_images_of_eight_runs_of_noise_are_within_the_limit():
    noise = MemorySet(noise_images(N, SIDE, SIDE), torch.full((N,), -1), 0)
    seen = {"features": X, "images": noise, "places": torch.arange(N), **CODED}
    runs = [Subject((str(i),), Path(str(i)), "", **seen) for i in range(8)]
    assert sum(map(len, made(*runs).sheets)) <= MOST_BYTES


# --- figures ------------------------------------------------------------------------------------------------------


def legends(figure):
    """Labels of the figure's own legends, and of those of its panels."""
    whole = [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]
    return whole, [[text.get_text() for text in ax.get_legend().get_texts()] for ax in figure.axes if ax.get_legend()]


def sizes(figure):
    figure.canvas.draw()
    return {tuple(np.round(ax.get_window_extent().size)) for ax in figure.axes}


def test_panels_that_show_the_same_share_a_legend():
    figure = spectra(compared(*(subject(name, embeddings=X[:, :4]) for name in "ab")))
    assert legends(figure) == ([["a", "b"]], []) and len(sizes(figure)) == 1
    figure = tsne(compared(*(subject(name, **LABELLED) for name in "ab"), mapped=True))
    assert legends(figure) == ([CLASSES], []) and len(sizes(figure)) == 1


def test_a_legend_names_what_is_in_its_own_panel():
    figure = spectra(compared(subject("a", embeddings=X[:, :4]), subject("b")))
    assert legends(figure) == ([], [["a", "b"], ["a"]]) and len(sizes(figure)) == 1
    comparison = compared(subject("a", **LABELLED), subject("b", **CODED), subject("c"), mapped=True)
    figure, codes = tsne(comparison), comparison.maps[1].labels.unique().tolist()
    assert legends(figure) == ([], [CLASSES, [f"code {code}" for code in codes]]) and len(sizes(figure)) == 1


def test_one_subject_with_codes_has_bars_whatever_is_beside_it():
    (ax,) = code_usage(compared(subject("a"), subject("b", **CODED))).axes
    assert ax.get_title() == "b\n12 of 64 codes in use" and len(ax.patches) == 1
    (ax,) = code_usage(compared(subject("a", **CODED), subject("b", **CODED))).axes
    assert not ax.patches and ax.get_xscale() == "log"


def epochs(*scales):
    """Rows of a run of image files."""
    more = {"train_loss": 1.0, "train_invariance": 0.6, "train_prior": 0.4, "train_waiting": 0.1, "train_seconds": 9.0}
    return [{"epoch": i, "train_features_std": std, **more} for i, std in enumerate(scales)]


def test_training_shows_the_loss_and_its_parts_alone():
    figure = training(compared(subject("a", rows=epochs(1, 1)), mapped=True))
    assert legends(figure)[1] == [["loss", "invariance", "prior"]]


def test_a_scale_within_a_decade_has_plain_numbers_beside_it():
    (ax,) = scale(compared(subject("a", rows=epochs(0.5, 0.97, 1.02)))).axes
    ax.figure.canvas.draw()
    shown = [label.get_text() for minor in (False, True) for label in ax.yaxis.get_ticklabels(minor=minor)]
    assert {"0.5", "0.9", "1"} <= {*shown}
