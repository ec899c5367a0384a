"""A run has one verdict: in the terminal, its summary, the list of runs, from Python, on its card and on its page."""

import json

import pytest
from omegaconf import OmegaConf
from support.configs import tiny

from cplearn_solo import Run
from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.collapse.comparison import _verdict
from cplearn_solo.collapse.limits import bars
from cplearn_solo.collapse.sources import read_subject
from cplearn_solo.inference.model_card import model_card
from cplearn_solo.inference.pretrained import load_pretrained

pytestmark = pytest.mark.integration

SCORES = {"linear": False, "clustering": False}
STILL = {"lr": 1e-7}


@pytest.mark.parametrize(
    "word, name, changes",
    [
        ("too early to tell", "cplearn", {"max_epochs": 1}),
        ("too early to tell", "cplearn", {}),  # 24 steps
        ("no better than chance", "byol", {"optimizer": STILL, "max_epochs": 5}),
        ("healthy", "cplearn", {"max_epochs": 8, "data": {"max_train_images": 600}}),
    ],
)
def test_all_places_say_the_same(word, name, changes, tmp_path, here, capfd):
    summary = pretrain_task(OmegaConf.create(tiny(tmp_path / "runs", name, evaluation=SCORES, **changes)))
    printed = capfd.readouterr().out
    (folder,) = tmp_path.glob("runs/*/*")
    assert summary["verdict"] == word == Run(folder).verdict
    assert json.loads((folder / "summary.json").read_text())["verdict"] == word
    subject = read_subject(folder, images=10_000, data={}, seed=0)
    verdict = _verdict(subject)
    assert (verdict.name, verdict.reason, verdict.limits) == (
        word,
        summary["verdict_reason"],
        summary["verdict_measures"],
    )
    assert verdict.message in printed and f"Collapse: {word}: {verdict.reason}" in model_card(load_pretrained(folder))
    assert word in " ".join(here("runs", str(tmp_path / "runs"), "state=done")[1].split())
    for bar in bars(verdict):
        assert f"{bar.measure} {bar.value:.3g} {bar.limit:g} " in " ".join(printed.split())
    if name == "byol":
        own = printed[printed.index("measure") :].partition("next:")[0]
        assert "code" not in own and "random codes" not in printed
    # judged as if there were no summary, on the same images
    (folder / "summary.json").unlink()
    again = _verdict(read_subject(folder, images=10_000, data={}, seed=0))
    assert again.measures == pytest.approx(verdict.measures, rel=1e-4)
    assert again.name == ("healthy" if word == "no better than chance" else word)  # which takes labels or weights
