"""One trial in this process: what it measures, and what it leaves behind."""

import json

import pytest
from support.images import write_images

from cplearn_solo.core.errors import InputError
from cplearn_solo.tuning.halving import Trial
from cplearn_solo.tuning.search import _job
from cplearn_solo.tuning.trial import run_trial

pytestmark = pytest.mark.integration
SMALL = {"backbone": {"name": "resnet8", "kwargs": {"width": 8}}, "accelerator": "cpu", "optimizer": {"batch_size": 8}}


@pytest.fixture
def prepared(planned, tmp_path):
    """Function from keys of a search on 32 images to the job of its first trial, with its files in its folder."""

    def prepare(names, rung=0, no_labels=False, **request):
        write_images(tmp_path / "images", names)
        data = {"dataset": "custom", "train_path": str(tmp_path / "images"), "no_labels": no_labels, "num_workers": 0}
        search = planned(data=data, work=str(tmp_path / "work"), **SMALL, **request)
        job = _job(search, Trial(0, rung, search.rules.first))
        job.folder.mkdir(parents=True, exist_ok=True)
        for name, content in job.files.items():
            (job.folder / name).write_text(content)
        return job

    return prepare


def test_rankme_needs_no_labels_and_the_last_rung_finishes_the_run(prepared):
    names = [f"{i}.png" for i in range(32)]
    found = []
    for rung in (0, 1):
        job = prepared(names, rung, no_labels=True, score="rankme", rungs=2, max_epochs=2)
        found.append(run_trial(job.folder))
        assert job.steps_done() == (rung + 1, rung + 1)
        assert len(list(job.folder.parent.glob("*/*/summary.json"))) == rung
    assert run_trial(job.folder) == found[1]  # killed before it could tell
    assert all(1 <= told["scores"]["rankme"] <= 32 for told in found)
    assert [told["epochs"] for told in found] == [1, 2]
    assert found[0]["data"] == found[1]["data"] and found[0]["data"]["train"]["images"] == 32
    (run,) = job.folder.parent.glob("*/*/summary.json")
    assert json.loads(run.read_text())["rankme"] == found[1]["scores"]["rankme"]


def test_one_class_cannot_be_told_apart(prepared):
    job = prepared([f"only/{i}.png" for i in range(32)], score="knn_acc1", rungs=1, max_epochs=1)
    with pytest.raises(InputError, match="score = 'knn_acc1': must be rankme, which needs no labels.*one class"):
        run_trial(job.folder)
