"""The collapse report on features and hand-made subjects; tests/cli/test_collapse_program.py has the program."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cplearn_solo.collapse import write_report
from cplearn_solo.collapse.comparison import compare, distinct_names
from cplearn_solo.collapse.entropy import mixture_entropy, unit_scale
from cplearn_solo.collapse.figures import PLOTS, draw
from cplearn_solo.collapse.measures import MEASURES, measure
from cplearn_solo.collapse.page import absences
from cplearn_solo.collapse.sources import CodeSpace, Subject, read_subject
from cplearn_solo.collapse.tsne import tsne_map
from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, pack_dictionary
from cplearn_solo.metrics import effective_rank, kmeans_ami
from cplearn_solo.objective.packed import PackedDictionary

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, size=120)
FEATURES = (3 * RANDOM.normal(size=(4, 6))[LABELS] + RANDOM.normal(size=(120, 6))).astype(np.float32)
READ = {"images": 10_000, "data": {}, "seed": 0}


def subject(name="x", n=120, **parts):
    parts = {"features": torch.from_numpy(FEATURES[:n]), **parts}
    return Subject((name,), Path(name), f"{n} rows", **parts)


def cell(title, of, section=None):
    (row,) = (row for row in MEASURES if row.title == title and section in (None, row.section))
    return measure(row, of)


@pytest.fixture
def labelled(tmp_path):
    np.savez(tmp_path / "labelled.npz", features=FEATURES, labels=LABELS, codes=LABELS % 2, embeddings=FEATURES[:, :3])
    return tmp_path / "labelled.npz"


# --- reading ------------------------------------------------------------------------------------------------------


def test_every_kind_of_file_is_read_alike(tmp_path, labelled):
    np.save(tmp_path / "a.npy", FEATURES.astype(np.float64))
    torch.save(torch.from_numpy(FEATURES), tmp_path / "b.pt")
    torch.save({"features": torch.from_numpy(FEATURES).half()}, tmp_path / "c.pt")
    for name, tolerance in (("a.npy", 0), ("b.pt", 0), ("c.pt", 1e-2)):
        read = read_subject(tmp_path / name, **READ)
        assert torch.allclose(read.features, torch.from_numpy(FEATURES), atol=tolerance, rtol=tolerance)
        assert read.labels is read.codes is read.embeddings is None and read.samples == "120 rows"
    read = read_subject(labelled, **READ)
    assert read.labels.tolist() == LABELS.tolist() and read.embeddings.shape == (120, 3)


def test_the_choice_of_rows_is_the_same_for_all_parts_and_files(tmp_path, labelled):
    np.save(tmp_path / "a.npy", FEATURES)
    few, same = (read_subject(path, images=50, data={}, seed=3) for path in (labelled, tmp_path / "a.npy"))
    assert few.samples == "50 of 120 rows" and torch.equal(few.features, same.features)
    rows = [np.flatnonzero((row == FEATURES).all(axis=1))[0] for row in few.features.numpy()]
    assert few.labels.tolist() == LABELS[rows].tolist()


def test_labels_that_are_all_unknown_are_no_labels(tmp_path):
    np.savez(tmp_path / "a.npz", features=FEATURES, labels=np.full(120, -1))
    assert read_subject(tmp_path / "a.npz", **READ).labels is None


@pytest.mark.parametrize(
    "parts, words",
    [
        ({"features": np.where(FEATURES > 3, np.nan, FEATURES)}, "features must be finite"),
        ({"features": FEATURES, "embeddings": np.full((120, 2), np.inf)}, "embeddings must be finite"),
        ({"features": FEATURES[0]}, r"features must have shape \(n, d\)"),
        ({"features": FEATURES[:1]}, "at least 2 rows"),
        ({"features": np.zeros((0, 3))}, r"features must have shape \(n, d\)"),
        ({"features": FEATURES * 1j}, "real numbers"),
        ({"features": FEATURES, "labels": LABELS[:7]}, "labels must have one row for each of 120 features, got 7"),
        ({"features": FEATURES, "labels": LABELS - 2}, "labels must be -1 or more, got -2"),
        ({"features": FEATURES, "codes": LABELS - 1}, "codes must be 0 or more, got -1"),
        ({"features": FEATURES, "labels": LABELS + 0.5}, "labels must be integers"),
        ({"features": FEATURES, "labels": np.array(["a"] * 120)}, "labels must be a tensor or an array of numbers"),
        ({"z": FEATURES}, "no 'features' .*, it has: z"),
    ],
)
def test_bad_arrays_name_file_and_part(parts, words, tmp_path):
    np.savez(tmp_path / "bad.npz", **parts)
    with pytest.raises(InputError, match=f"bad.npz.*{words}"):
        read_subject(tmp_path / "bad.npz", **READ)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.pt", "x.ckpt", "x.txt"])
def test_damaged_and_missing_files(name, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_subject(tmp_path / name, **READ)
    (tmp_path / name).write_bytes(b"PK\x03\x04 not what it seems")
    with pytest.raises(InputError, match=f"{name} is damaged"):
        read_subject(tmp_path / name, **READ)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=f"{name} is damaged"):
        read_subject(tmp_path / name, **READ)


# --- measures -----------------------------------------------------------------------------------------------------


def test_measures_are_those_of_the_metrics():
    labels = torch.from_numpy(LABELS)
    full = subject(labels=labels)
    found = cell("effective rank", full, "Representation Z")
    assert found.value == effective_rank(FEATURES) and found.of == 6
    assert cell("k-means AMI of Z", full).value == kmeans_ami(FEATURES, LABELS)
    partly = subject(labels=torch.where(torch.arange(120) < 60, labels, -1))
    assert cell("k-means AMI of Z", partly).value == kmeans_ami(FEATURES[:60], LABELS[:60])


@pytest.mark.parametrize(
    "title, parts, reason",
    [
        ("k-means AMI of Z", {}, "no labels"),
        ("intra-class effective rank of Z", {"labels": torch.zeros(120, dtype=torch.int64)}, "one class only"),
        ("NMI of codes and classes", {"labels": torch.from_numpy(LABELS)}, "no code assignment"),
        ("codes in use", {}, "no code assignment"),
        ("pairwise entropy of H", {}, "no embeddings"),
        ("strict bound", {}, "no CPLearn run"),
        ("distance of H^T H from I", {}, "no CPLearn run"),
        ("within-code variance", {"codes": torch.arange(120)}, "cluster of its own"),
        ("log-determinant entropy of Z", {"features": torch.randn(5, 9)}, "5 samples are too few for 9 dimensions"),
        ("log-determinant entropy of Z", {"features": torch.full((9, 2), 0.1)}, "constant"),
    ],
)
def test_a_number_that_would_mean_nothing_has_a_reason_instead(title, parts, reason):
    found = cell(title, subject(**parts))
    assert found.value is None and reason in found.reason


def packed(f, c, kind="rademacher"):
    return PackedDictionary(pack_dictionary(f, c, kind=kind), f)


@pytest.mark.parametrize("unscale", [1.0, 8.0])
def test_the_optimum_is_recognised_whatever_the_number_of_samples(unscale):
    """Embeddings that are their codes, every code used alike; a batch of 64 at Eq. 1's scale, or the released one."""
    w = make_dictionary(16, 16, kind="hadamard").float()
    codes = torch.arange(160) % 16
    space = CodeSpace(packed(16, 16, kind="hadamard"), unscale=unscale)
    best = subject(features=torch.randn(160, 4), embeddings=w[:, codes].T / unscale, codes=codes, code_space=space)
    assert cell("alignment with codes", best).value == pytest.approx(1)
    assert cell("distance of H^T H from I", best).value == pytest.approx(0, abs=1e-6)
    assert cell("the same at the optimum", best).value == pytest.approx(0, abs=1e-6)
    assert cell("distance of H H^T from block-diagonal", best).value == pytest.approx(0, abs=1e-6)
    assert "no train_bound_gap" in cell("gap to the strict bound", best).reason


def test_the_order_of_classes_does_not_matter():
    """Of more rows than measures of pairs look at, as in folders of classes."""
    labels = torch.arange(5).repeat_interleave(1000)
    features = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))[labels] * 9
    ordered = subject(features=features, labels=labels)
    assert cell("k-means AMI of Z", ordered).value > 0.99
    assert cell("pairwise entropy of Z", ordered).value == pytest.approx(math.log(5), abs=0.01)


def test_pairwise_entropy_counts_groups():
    groups = 10 * torch.eye(8)[torch.arange(120) % 8] + 1e-4 * torch.randn(120, 8)
    assert cell("pairwise entropy of Z", subject(features=groups)).value == pytest.approx(math.log(8), abs=0.01)


# --- entropies and t-SNE ------------------------------------------------------------------------------------------


def test_unit_scale_takes_one_scalar():
    scaled = unit_scale(torch.from_numpy(FEATURES) * 7 + 3)
    assert scaled.var(dim=0, unbiased=False).mean().item() == pytest.approx(1)
    assert torch.allclose(scaled, unit_scale(torch.from_numpy(FEATURES)), atol=1e-5)
    with pytest.raises(InputError, match="constant"):
        unit_scale(torch.full((9, 2), 1 / 3) + 1e-8 * torch.randn(9, 2))


def test_mixture_entropy_of_a_gaussian():
    x = torch.randn(8000, 3, generator=torch.Generator().manual_seed(0))
    assert mixture_entropy(4 * x, 10, seed=0).nats == pytest.approx(1.5 * math.log(2 * math.pi * math.e), abs=0.06)
    few = mixture_entropy(x[:99], 20, seed=0)
    assert few.nats is None and few.reason == "99 samples are too few for 20 components: at least 100"


def test_tsne_wants_two_dimensions():
    with pytest.raises(InputError, match="at least 2 dimensions, got 1"):
        tsne_map(torch.randn(100, 1), None, seed=0)


def test_tsne_shows_ten_classes():
    labels = torch.arange(120) % 12
    found = tsne_map(torch.from_numpy(FEATURES), labels, seed=0)
    assert found.points.shape == (100, 2) and sorted(set(found.labels.tolist())) == list(range(10))
    with pytest.raises(InputError, match="at least 10 samples, got 4"):
        tsne_map(torch.from_numpy(FEATURES[:4]), None, seed=0)


# --- comparisons --------------------------------------------------------------------------------------------------


def test_names_are_short_and_distinct():
    def named(*names, path):
        return Subject(names, Path(path), "", torch.zeros(2, 2))

    subjects = [
        named("a", "a 1", path="1"),
        named("a", "a 2", path="2"),
        named("b", "b 1", path="3"),
        named("b", "b 1", path="3"),
        named("c" * 50, path="4"),
        named("c" * 49, path="5"),
    ]
    names = distinct_names(subjects)
    assert names[:4] == ["a 1", "a 2", "b", "b (2)"]
    assert len(set(names)) == 6 and max(map(len, names)) <= 32


def test_dimensions_that_differ_leave_entropies_out():
    other = subject("other", features=torch.randn(120, 9))
    comparison = compare([subject(), other], components=(10,), seed=0, at=lambda title: None)
    assert comparison.entropies["Z"] == [[], []]
    left = dict(absences(comparison.rows, comparison.names))
    (reason,) = (why for titles, why in left.items() if "log-determinant entropy of Z" in titles)
    assert reason == "Z has 6 or 9 dimensions: differential entropies of them do not compare"
    entropy = draw(next(plot for plot in PLOTS if plot.file == "entropy.png"), comparison)
    assert entropy.png is None and "6 or 9 dimensions" in entropy.reason


def test_eight_subjects_of_all_kinds_are_drawn():
    labels, codes = torch.from_numpy(LABELS), torch.from_numpy(LABELS % 3)
    space = CodeSpace(packed(6, 5), 4.0)
    h = torch.from_numpy(FEATURES)
    rows = [{"epoch": float(i), "train_loss": 2.0 - i, "train_prior": 1.0} for i in range(3)]
    kinds = [
        subject("plain"),
        subject("labels only", labels=labels),
        subject("constant", features=torch.full((120, 6), 0.1)),
        subject("zero", features=torch.zeros(120, 6), embeddings=torch.zeros(120, 2), codes=codes * 0, codes_total=4),
        subject("few", n=12),
        subject("codes", codes=codes, codes_total=3),
        subject("run", labels=labels, embeddings=h, codes=codes, codes_total=5, code_space=space, rows=rows),
        subject("kept", labels=labels, embeddings=h[:, :2], rows=rows[:1], kept={1: h, 5: h * 2}),
    ]
    for subjects in (kinds, kinds[:1]):
        comparison = compare(subjects, components=(10, 20), seed=0, at=lambda title: None)
        drawn = {plot.file: draw(plot, comparison) for plot in PLOTS}
        for figure in drawn.values():
            assert (figure.png or b"").startswith(b"\x89PNG") != bool(figure.reason)
    assert [file for file, figure in drawn.items() if figure.png is None] == [
        "codes.png",
        "class_ranks.png",
        "training.png",
        "dictionary.png",
    ]


# --- the report ---------------------------------------------------------------------------------------------------


def test_report_on_files(tmp_path, labelled, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("plain.npy", FEATURES[::-1].copy())
    steps = []
    report = write_report([labelled, "plain.npy"], progress=lambda done, total, title: steps.append((done, total)))
    measuring = [step for step in steps if step[1] > 2]
    assert [done for done, _ in measuring] == list(range(measuring[0][1] + 1))
    again = write_report([labelled, "plain.npy"], max_components=10)
    assert report.page.parent.parent == again.page.parent.parent == Path("collapse")
    assert report.page.parent != again.page.parent

    page = report.page.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in page and "@import" not in page
    pictures = sorted(p.name for p in report.page.parent.glob("*.png"))
    assert pictures == sorted({plot.file for plot in PLOTS} - {"training.png", "dictionary.png"})
    assert page.count("data:image/png;base64,") == len(pictures)
    assert all(Image.open(report.page.parent / name).width > 500 for name in pictures)
    for words in ("verdict", "no CPLearn run", "120 samples are too few for 50 components", "plain: no labels"):
        assert words in page, words


def test_markup_in_a_name_stays_text(tmp_path):
    np.save(tmp_path / "<b>x&[red].npy", FEATURES)
    page = write_report([tmp_path / "<b>x&[red].npy"], output=tmp_path / "out", max_components=10).page.read_text()
    assert "&lt;b&gt;x&amp;[red]" in page and "<b>" not in page


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"output": "full"}, "output = full: exists already"),
        ({"output": "a.npy"}, "output = a.npy: exists already"),
        ({"output": "a.npy/sub"}, "output = a.npy/sub"),
        ({"images": 1}, "images must be at least 2, got 1"),
        ({"images": 0}, "images must be an integer from 1, got 0"),
        ({"max_components": 9}, "max_components must be at least 10, got 9"),
        ({"data": {"val_path": "x"}}, "none of a.npy is a run"),
    ],
)
def test_bad_settings_leave_everything_as_it_was(settings, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", FEATURES[:20])
    Path("full").mkdir()
    Path("full/precious.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=re.escape(words)):
        write_report(["a.npy"], **settings)
    assert sorted(tmp_path.rglob("*")) == before
