"""Runs that older releases left unfinished, kept in ``tests/fixtures``, go on and are evaluated."""

import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from support.runs import folders

from cplearn_solo.auto.choose import choose
from cplearn_solo.config import identity
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config, MomentumConfig
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import Augmentation
from cplearn_solo.engine.checkpoint import CHECKPOINT_KEY, read_checkpoint
from cplearn_solo.engine.find import LAST
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.provenance import versions
from cplearn_solo.engine.runs import open_run
from cplearn_solo.engine.train import pretrain
from cplearn_solo.inference.features import extract
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.inference.splits import splits_of

pytestmark = pytest.mark.integration

FIXTURES = Path(__file__).parents[1] / "fixtures"
RELEASES = sorted(path.parent.name for path in FIXTURES.glob("*/run"))
OF_PROBE = ("classifier.", "features_scale.")  # state of the online probe
LATER = {"0.2.0": {"features_scale.mean", "features_scale.variance", "features_scale.batches"}}  # state since then
# Keys that were auto when the run of 0.3.0 began.
AUTO = {
    "data": {"dataset": "auto", "no_labels": "auto", "val_split": "auto"},
    "scheduler": {"warmup_epochs": "auto"},
    "precision": "auto",
}


@pytest.fixture(params=RELEASES)
def release(request, monkeypatch):
    """A release, in whose folder are the images that its run names."""
    monkeypatch.chdir(FIXTURES / request.param)
    return request.param


def unfinished(root, release="0.2.0"):
    """The unfinished run of that release, copied below ``root``, and a configuration that continues it."""
    config = OmegaConf.to_container(OmegaConf.load(FIXTURES / release / "run/config.yaml"))
    run = root / config["name"] / "20250101-000000"
    shutil.copytree(FIXTURES / release / "run", run)
    return run, {**config, "checkpoint": {"dir": str(root)}, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture
def two_threads():
    """As many as the fixtures were trained with: the order of sums depends on them."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def distance(one, two):
    """Euclidean, over all numbers with a fraction but the online probe's, which came to see standardised features."""
    names = [name for name, value in two.items() if torch.is_tensor(value) and value.is_floating_point()]
    names = [name for name in names if not name.startswith(OF_PROBE)]
    return torch.stack([(one[name].double() - two[name].double()).square().sum() for name in names]).sum().sqrt()


def test_an_unfinished_run_ends_with_the_weights_of_its_release(release, tmp_path, two_threads):
    """Equal to the bit on a processor like the one that trained it. On others rounding differs and Adam makes steps of
    it, 6 % of the way that the weights went; another seed ends 42 % of the way off. The run of 0.3.0 ends 13 % off if
    its learned prior begins anew, 3 % off with another number of threads."""
    run, config = unfinished(tmp_path, release)
    before = read_checkpoint(run / LAST)["state_dict"]
    trained = pretrain(parse_config(config))
    assert trained.run.path == run and [row["epoch"] for row in EpochLog.read(run)] == [0, 1, 2, 3]
    saved = read_checkpoint(run / LAST)
    assert saved[CHECKPOINT_KEY]["learning_version"] == identity.LEARNING_VERSION
    ended = torch.load(FIXTURES / release / "ended.pt", weights_only=True)
    assert saved["state_dict"].keys() == ended.keys() | LATER.get(release, set())
    assert distance(saved["state_dict"], ended) < 0.1 * distance(before, ended)


def test_a_checkpoint_is_evaluated(release):
    model = load_pretrained(FIXTURES / release / "run" / LAST)
    images = splits_of(model, {})[0].test
    features = extract(model.backbone, model.method, images, crop_size=8)
    assert features.x.shape == (len(images), 4) and features.codes.max() < 16


def test_keys_that_were_auto_are_as_that_release_chose_them(tmp_path, monkeypatch):
    monkeypatch.chdir(FIXTURES / "0.3.0")
    run, config = unfinished(tmp_path, "0.3.0")
    named = {**config, "resume_from_checkpoint": str(run)}
    assert choose(OmegaConf.to_container(OmegaConf.merge(named, AUTO))).values == named


def test_each_key_that_came_later_has_the_value_of_before_or_does_not_count(release):
    plain = Config(augmentations=[Augmentation()], momentum=MomentumConfig()).plain()
    then = OmegaConf.to_container(OmegaConf.load(FIXTURES / release / "run/config.yaml"))
    known = {identity._general(key) for key in identity._flat(then | {"momentum": plain["momentum"]})}
    later = {identity._general(key) for key in identity._counting(plain, but=())} - known - {"method_kwargs"}
    assert later <= identity.ADDED_KEYS.keys()


def add_key(monkeypatch, value):
    """A key that this program has, and that releases before it did not know."""
    monkeypatch.setitem(identity.ADDED_KEYS, "data.made_up", "as before")
    plain = Config.plain

    def with_key(self):
        values = plain(self)
        return {**values, "data": {**values["data"], "made_up": value}}

    monkeypatch.setattr(Config, "plain", with_key)


@pytest.mark.parametrize("named", [False, True])
def test_a_key_that_came_later_does_not_end_the_resume(named, tmp_path, monkeypatch):
    run, config = unfinished(tmp_path)
    config |= {"resume_from_checkpoint": str(run)} if named else {}
    add_key(monkeypatch, "as before")
    opened = open_run(parse_config(config), {})
    assert opened.path == run and opened.resume == run / LAST
    opened.close()


def test_a_key_that_came_later_counts_once_it_is_used(tmp_path, monkeypatch, capsys):
    run, config = unfinished(tmp_path)
    add_key(monkeypatch, "otherwise")
    words = "data.made_up: 'as before' there, 'otherwise' here"
    assert open_run(parse_config(config), {}).path != run
    assert words in capsys.readouterr().out
    with pytest.raises(InputError, match=words):
        open_run(parse_config({**config, "resume_from_checkpoint": str(run)}), {})


def test_a_run_of_another_learning_version_is_not_continued(tmp_path, capsys):
    run, config = unfinished(tmp_path)
    saved = read_checkpoint(run / LAST)
    saved[CHECKPOINT_KEY]["learning_version"] = identity.LEARNING_VERSION + 1
    torch.save(saved, run / LAST)
    words = f"learning version: {identity.LEARNING_VERSION + 1} there, {identity.LEARNING_VERSION} here"
    assert open_run(parse_config(config), {}).path != run
    assert words in capsys.readouterr().out
    with pytest.raises(InputError, match=words) as error:
        open_run(parse_config({**config, "resume_from_checkpoint": str(run)}), {})
    assert "\n" not in str(error.value) and len(folders(tmp_path)) == 2


def test_results_name_the_release_of_the_code_that_ran(monkeypatch):
    """Not that of an older installation of the same source tree."""
    monkeypatch.setattr("cplearn_solo.__version__", "9.9")
    assert versions()["cplearn-solo"] == "9.9"
