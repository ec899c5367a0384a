"""The collapse report on features and hand-made subjects; tests/cli/test_collapse_program.py has the program."""

import io
import math
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.configs import shipped

from cplearn_solo.collapse import Report, style, write_report
from cplearn_solo.collapse.comparison import compare
from cplearn_solo.collapse.entropy import mixture_entropy
from cplearn_solo.collapse.figures import PLOTS, draw
from cplearn_solo.collapse.groups import by_themselves
from cplearn_solo.collapse.measures import measure
from cplearn_solo.collapse.names import distinct_names
from cplearn_solo.collapse.page import absences
from cplearn_solo.collapse.progress import Steps
from cplearn_solo.collapse.protocols import PROTOCOLS
from cplearn_solo.collapse.report import _new_folder
from cplearn_solo.collapse.rows import MEASURES, method_measures
from cplearn_solo.collapse.scale import log_scales, unit_scale
from cplearn_solo.collapse.sources import read_subject
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.collapse.tsne import tsne_map
from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.words import TOO_EARLY
from cplearn_solo.dictionary import make_dictionary
from cplearn_solo.evaluation.scores import cluster_scores
from cplearn_solo.inference.features import Features
from cplearn_solo.methods import build_method
from cplearn_solo.metrics import effective_rank, kmeans_ami
from cplearn_solo.metrics.intracluster import gmm_entropy
from cplearn_solo.metrics.scale import scale_of
from cplearn_solo.metrics.verdict import Verdict

pytestmark = pytest.mark.integration

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, size=120)
FEATURES = (3 * RANDOM.normal(size=(4, 6))[LABELS] + RANDOM.normal(size=(120, 6))).astype(np.float32)
READ = {"images": 10_000, "data": {}, "seed": 0}


def subject(name="x", n=120, **parts):
    parts = {"features": torch.from_numpy(FEATURES[:n]), **parts}
    return Subject((name,), Path(name), f"{n} rows", **parts)


def cplearn(f, c, **kwargs):
    kwargs = {"proj_hidden_dim": f, "proj_output_dim": c, **kwargs}
    return build_method("cplearn", 6, batch_size=64, method_kwargs=kwargs)


def cell(title, of, section=None):
    rows = [*MEASURES, *method_measures([of, subject(method=cplearn(4, 4))])]
    (row,) = (row for row in rows if row.title == title and section in (None, row.section))
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
        ({"features": np.where(FEATURES > 3, np.nan, FEATURES)}, "features = nan: must be finite"),
        ({"features": FEATURES, "embeddings": np.full((120, 2), np.inf)}, "embeddings = inf: must be finite"),
        ({"features": FEATURES[0]}, r"features.shape = \(.*\): must be \(n, d\)"),
        ({"features": FEATURES[:1]}, r"features.shape = \(1, 6\): must be \(n, d\) with n >= 2"),
        ({"features": np.zeros((0, 3))}, r"features.shape = \(.*\): must be \(n, d\)"),
        (
            {"features": FEATURES.astype(np.uint8)},
            "features.dtype = torch.uint8: must be of another type",
        ),
        ({"features": FEATURES * 1j}, "features.dtype = torch.complex64: must be a type of real numbers"),
        (
            {"features": FEATURES, "labels": LABELS[:7]},
            r"labels.shape = \(7,\): must be \(120,\), one for each row of features",
        ),
        ({"features": FEATURES, "labels": LABELS - 2}, "labels = -2: must be -1 or more"),
        ({"features": FEATURES, "codes": LABELS - 1}, "codes = -1: must be 0 or more"),
        ({"features": FEATURES, "labels": LABELS + 0.5}, "labels.dtype = torch.float64: must be a type"),
        (
            {"features": FEATURES, "labels": np.array(["a"] * 120)},
            "labels = ndarray: must be a tensor or an array of numbers",
        ),
        ({"z": FEATURES}, "no 'features' .*, it holds: z"),
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


@pytest.mark.parametrize("config, seed", [({"seed": 3}, 3), (None, 0)])
def test_scores_of_clusters_are_those_of_the_summary(config, seed):
    """By the run's seed, and by 0 for a file; some images have no label."""
    x = torch.randn(2500, 3, generator=torch.Generator().manual_seed(1)).exp()
    y, codes = torch.arange(2500) % 8 - 1, torch.arange(2500) % 50
    of = subject(features=x, labels=y, codes=codes, config=config)
    found = cluster_scores(Features(x, y, codes), codes_total=50, seed=seed)
    for key, title in (
        ("kmeans_ami", "k-means AMI of Z"),
        ("kmeans_standardised_ami", "k-means AMI of Z, standardised"),
        ("nmi", "NMI of codes and classes"),
        ("nmi_chance", "NMI at chance"),
        ("ami", "AMI of codes and classes"),
        ("codes_used", "codes in use"),
    ):
        assert cell(title, of).value == found[key]


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


@pytest.mark.parametrize("scale, length", [("released", 1.0), ("paper", 8.0)])
def test_the_optimum_is_recognised_whatever_the_number_of_samples(scale, length):
    """Embeddings that are their codes, every code used alike; a batch of 64 at the released scale, or at Eq. 1's."""
    w = make_dictionary(16, 16, kind="hadamard").float()
    codes = torch.arange(160) % 16
    method = cplearn(16, 16, dictionary="hadamard", scale=scale)
    best = subject(features=torch.randn(160, 4), embeddings=w[:, codes].T / length, codes=codes, method=method)
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


@pytest.fixture(scope="module")
def moved():
    """The same subject with its features and embeddings as they are, shifted, scaled, and scaled in one dimension."""
    x, labels = torch.from_numpy(FEATURES).double(), torch.from_numpy(LABELS)
    one = torch.tensor([1, 1, 30, 1, 1, 1]).double()
    changed = {"": x, "shift": x + torch.arange(1, 7) * 3, "scale": 7 * x, "dimensions": x * one}
    parts = {"labels": labels, "codes": (labels + 1) % 3, "codes_total": 5}
    return {how: subject(features=z, embeddings=z.flip(1), **parts) for how, z in changed.items()}


@pytest.mark.parametrize("row", MEASURES, ids=lambda row: f"{row.section}: {row.title}")
def test_what_a_shift_and_a_scale_change_is_said(row, moved):
    values = {how: measure(row, of).value for how, of in moved.items()}
    changed = {how for how, value in values.items() if value != pytest.approx(values[""], rel=1e-6)}
    assert changed == set(row.follows)


def test_the_page_names_what_a_shift_and_a_scale_change(report):
    text = re.sub(r"\s+", " ", report[0].page.read_text())
    assert "Adding one vector to all features changes distance to constant, RankMe. Multiplying all features by" in text
    assert "by one number changes mean variance. Neither" in text
    assert "Scaling single dimensions changes all measures except dimensions, mean |correlation|, codes in use," in text


# --- entropies and t-SNE ------------------------------------------------------------------------------------------


def test_unit_scale_takes_one_scalar():
    scaled = unit_scale(torch.from_numpy(FEATURES) * 7 + 3)
    assert scaled.var(dim=0, unbiased=False).mean().item() == pytest.approx(1)
    assert torch.allclose(scaled, unit_scale(torch.from_numpy(FEATURES)), atol=1e-5)
    with pytest.raises(InputError, match="constant"):
        unit_scale(torch.full((9, 2), 1 / 3) + 1e-8 * torch.randn(9, 2))


def test_unequal_scales_are_what_standardising_adds_to_an_entropy():
    x = torch.from_numpy(FEATURES) * torch.tensor([1, 2, 5, 1, 1, 0.1])
    standardised = scale_of(x).standardise(x)
    raised = gmm_entropy(standardised, components=1) - gmm_entropy(unit_scale(x), components=1)
    assert log_scales(x) == pytest.approx(raised, abs=1e-3) and log_scales(standardised) == pytest.approx(0, abs=1e-6)
    with_constant = torch.cat([x, torch.full((120, 1), 0.1)], dim=1)
    with pytest.raises(InputError, match="1 of 7 dimensions are constant"):
        log_scales(with_constant)
    standardised = scale_of(with_constant).standardise(with_constant)
    assert (standardised[:, -1] == 0).all() and standardised.isfinite().all()


def test_mixture_entropy_of_a_gaussian():
    x = torch.randn(8000, 3, generator=torch.Generator().manual_seed(0))
    assert mixture_entropy(4 * x, 10, PROTOCOLS["standard"], seed=0).nats == pytest.approx(
        1.5 * math.log(2 * math.pi * math.e), abs=0.06
    )
    few = mixture_entropy(x[:99], 20, PROTOCOLS["standard"], seed=0)
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


def compared(*subjects, components=(2,)):
    groups, names = by_themselves(list(subjects))
    settings = {"protocol": PROTOCOLS["standard"], "seed": 0, "steps": Steps(0, lambda done, total, title: None)}
    return compare(list(subjects), names, groups, components=components, **settings)


def test_dimensions_that_differ_leave_entropies_out():
    comparison = compared(subject(n=12), subject("other", features=torch.randn(12, 9)))
    assert comparison.entropies["Z"] == [[], []]
    left = dict(absences(comparison.rows, comparison.names))
    (reason,) = (why for titles, why in left.items() if "log-determinant entropy of Z" in titles)
    assert reason == "Z has 6 or 9 dimensions: differential entropies of them do not compare"
    entropy = draw(next(plot for plot in PLOTS if plot.file == "entropy.png"), comparison)
    assert entropy.png is None and "6 or 9 dimensions" in entropy.reason


def test_rows_of_a_method_have_a_reason_for_subjects_of_no_or_another_method():
    vicreg = build_method("vicreg", 6, batch_size=64, method_kwargs={"proj_hidden_dim": 8, "proj_output_dim": 8})
    assert method_measures([subject(), subject(method=vicreg)]) == []
    rows = method_measures([subject(), subject(method=cplearn(6, 5)), subject(method=cplearn(6, 8))])
    assert len(rows) == 7 and {row.section for row in rows} == {"CPLearn's optimum"}
    for other in (subject(), subject(method=vicreg, embeddings=torch.from_numpy(FEATURES))):
        assert {measure(row, other).reason for row in rows} == {"no CPLearn run"}


def test_a_verdict_has_advice_for_its_own_configuration():
    one_code = {"embeddings": torch.from_numpy(FEATURES[:12]), "codes": torch.zeros(12, dtype=torch.int64)}
    config = parse_config({**shipped("cplearn"), "method_kwargs": {"beta": 2.0}}).stored()
    own = subject(n=12, method=cplearn(6, 5), config=config, codes_total=5, **one_code)
    verdicts = compared(own, subject("file", n=12, **one_code)).verdicts
    assert [verdict.name for verdict in verdicts] == ["cluster", "cluster"]
    assert "method_kwargs.beta=1 (now 2:" in verdicts[0].advice and "beta" not in verdicts[1].advice


def test_a_verdict_that_was_given_stays():
    early = Verdict(TOO_EARLY, "trained for 1 epoch", "", {})
    (found,) = compared(subject(verdict=early)).verdicts
    assert found.message == "too early to tell: trained for 1 epoch" and found.measures.keys() == {
        "spread",
        "stable_rank",
    }
    given = Verdict("no better than chance", "kNN 0.1", "", {"spread": 0.7})
    assert compared(subject(verdict=given)).verdicts == [given]


def kinds(n):
    """Subjects of all kinds, of ``n`` rows; the first has the least, the last two most."""
    labels, codes = torch.from_numpy(LABELS[:n]), torch.from_numpy(LABELS[:n] % 3)
    h, zeros = torch.from_numpy(FEATURES[:n]), torch.zeros(n, 6)
    rows = [{"epoch": float(i), "train_loss": 2.0 - i, "train_features_std": 1.0 + i} for i in range(3)]
    run = {"labels": labels, "embeddings": h, "codes": codes, "codes_total": 5, "method": cplearn(6, 5)}
    return {
        "plain": subject("plain", n=n),
        "labels only": subject("labels only", n=n, labels=labels),
        "constant": subject("constant", features=zeros + 0.1),
        "zero": subject("zero", features=zeros, embeddings=zeros[:, :2], codes=codes * 0, codes_total=4),
        "few": subject("few", n=12),
        "codes": subject("codes", n=n, codes=codes, codes_total=3),
        "kept": subject("kept", n=n, labels=labels, embeddings=h[:, :2], rows=rows[:1], kept={1: h, 5: h * 2}),
        "run": subject("run", n=n, rows=rows, kept={1: h, 5: h * 2}, **run),
    }


def assert_drawn(comparison):
    """Every figure is drawn or has a reason; the names of those that are left out."""
    drawn = [draw(plot, comparison) for plot in PLOTS]
    for figure in drawn:
        assert (figure.png or b"").startswith(b"\x89PNG") != bool(figure.reason)
    return [figure.plot.file for figure in drawn if figure.png is None]


@pytest.mark.slow
def test_subjects_with_little_and_with_all_are_drawn(monkeypatch):
    monkeypatch.setattr(style, "COLUMNS", 2)  # so that three need a second row
    found = kinds(24)
    assert assert_drawn(compared(*(found[name] for name in ("few", "zero", "run")))) == []


def test_features_alone_leave_figures_out():
    missing = ["codes.png", "scale.png", "class_ranks.png", "training.png", "dictionary.png"]
    assert assert_drawn(compared(subject(n=24))) == missing


@pytest.mark.slow
def test_eight_subjects_of_all_kinds_are_drawn():
    assert assert_drawn(compared(*kinds(120).values(), components=(10, 20))) == []


# --- the report ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report on two files, one with markup in its name, and the steps that it told."""
    folder, steps = tmp_path_factory.mktemp("files"), []
    parts = {"labels": LABELS, "codes": LABELS % 2, "embeddings": FEATURES[:, :3]}
    np.savez(folder / "labelled.npz", features=FEATURES, **parts)
    np.save(folder / "<b>x&[red].npy", FEATURES[::-1].copy())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        written = write_report(["labelled.npz", "<b>x&[red].npy"], progress=lambda *step: steps.append(step))
    return Report(written.comparison, folder / written.page), steps


def test_progress_counts_every_step_once(report):
    _, steps = report
    assert [step[:2] for step in steps[:2]] == [(0, 2), (1, 2)] and steps[0][2] == "reading labelled.npz"
    total = steps[-1][1]
    assert [(done, of) for done, of, _ in steps[2:]] == [(done, total) for done in range(total + 1)]


def test_the_page_holds_all_figures_and_reasons(report):
    written, _ = report
    page, folder = written.page.read_text(), written.page.parent
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in page and "@import" not in page
    pictures = sorted(p.name for p in folder.glob("*.png"))
    assert pictures == sorted({plot.file for plot in PLOTS} - {"training.png", "dictionary.png", "scale.png"})
    assert page.count("data:image/png;base64,") == len(pictures)
    assert all(Image.open(io.BytesIO((folder / name).read_bytes())).width > 500 for name in pictures)
    for words in ("verdict", "no run with a dictionary", "120 samples are too few for 50 components", ": no labels"):
        assert words in page, words
    assert "CPLearn's optimum" not in page


def test_markup_in_a_name_stays_text(report):
    page = report[0].page.read_text()
    assert page.count("&lt;b&gt;x&amp;[red]: no labels") == 1 and "<b>" not in page and "&amp;lt;" not in page


def test_each_report_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda *_: "now")
    assert [str(_new_folder(None, Path("collapse"))) for _ in range(3)] == [
        f"collapse/now{end}" for end in ("", "-2", "-3")
    ]


def test_a_place_that_cannot_be_written_to_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", FEATURES[:20])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="output = 'collapse': must be in a folder that can be written to"):
        write_report(["a.npy"], progress=lambda *step: pytest.fail("work that would be lost"))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"output": "full"}, "output = 'full': must be an empty folder"),
        ({"output": "a.npy"}, "output = 'a.npy': must be an empty folder"),
        ({"output": "a.npy/sub"}, "output = 'a.npy/sub'"),
        ({"images": 1}, "images = 1: must be at least 2"),
        ({"images": 0}, "images = 0: must be at least 2"),
        ({"protocol": "relased"}, "unknown protocol 'relased': did you mean 'released'?"),
        ({"group": True}, "group = a.npy: must hold at least two runs"),
        ({"max_components": 9}, "max_components = 9: must be at least 10"),
        ({"data": {"val_path": "x"}}, "none of a.npy is a run"),
    ],
)
def test_bad_settings_leave_everything_as_it_was(settings, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", FEATURES[:20])
    Path("full").mkdir()
    Path("full/precious.txt").write_text("mine")
    before, steps = sorted(tmp_path.rglob("*")), []
    with pytest.raises(InputError, match=re.escape(words)):
        write_report(["a.npy"], **settings, progress=lambda *step: steps.append(step))
    assert not steps or "data" in settings  # nothing was extracted that is then thrown away
    assert sorted(tmp_path.rglob("*")) == before
