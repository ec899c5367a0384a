"""Configurations of the papers' settings against ``paper_settings.yaml``, where these stand with their sources."""

from pathlib import Path

import pytest
import yaml
from support.configs import PRETRAIN, shipped

from cplearn_solo.config.read import parse_config
from cplearn_solo.methods import method_facts
from cplearn_solo.tables.paper import load_table

SETTINGS = yaml.safe_load(Path(__file__).with_name("paper_settings.yaml").read_text())
CASES = [(file, part["source"], part["settings"]) for part in SETTINGS for file in part["files"]]
# Table 7: beta by codes, the same for SVHN, CIFAR-10 and CIFAR-100
BETA = {10: 0.5, 128: 0.5, 256: 0.25, 512: 0.25, 1024: 0.1, 2048: 0.1, 4096: 0.1, 8192: 0.05, 16384: 0.05}


def configured(file):
    """A configuration as plain values, what its method takes without words among them."""
    folder, name = file.split("/")
    config = parse_config(shipped(name, folder))
    plain = config.plain()
    plain["method_kwargs"] = {**method_facts(config.method).defaults, **plain["method_kwargs"]}
    return {**plain, "learning_rate": config.optimizer.lr * config.optimizer.batch_size / 256}


def values(node, path):
    """All values at a dotted path."""
    key, _, rest = path.partition(".")
    if isinstance(node, list):
        found = node if key == "*" else [node[int(key)]]
        return [value for each in found for value in values(each, rest)]
    return values(node[key], rest) if rest else [node[key]]


@pytest.mark.parametrize("file, source, settings", CASES, ids=[f"{file}: {source}" for file, source, _ in CASES])
def test_a_configuration_is_the_papers(file, source, settings):
    plain = configured(file)
    for path, wanted in settings.items():
        for value in values(plain, path):
            assert value == (pytest.approx(wanted) if isinstance(wanted, float) else wanted), f"{path}, {source}"


@pytest.mark.parametrize("folder", ["cifar", "cifar_resnet8", "cifar_resnet18", "imagenet-100"])
def test_every_configuration_of_their_settings_is_checked(folder):
    files = {f"{folder}/{path.stem}" for path in (PRETRAIN / folder).glob("*.yaml")}
    assert files <= {file for file, _, _ in CASES}


@pytest.mark.parametrize("table", ["cplearn_fig5", "cplearn_fig10", "cplearn_fig11"])
def test_beta_is_table_7s(table):
    rows = load_table(table).rows
    found = {
        r.overrides["all"]["method_kwargs.proj_output_dim"]: r.overrides["full"]["method_kwargs.beta"] for r in rows
    }
    assert found == BETA


def test_svhn_and_cifar100_differ_as_in_section_4_and_table_6():
    columns = load_table("cplearn_table1").columns
    svhn, cifar100 = columns["svhn"].overrides, columns["cifar100"].overrides
    assert svhn["full"]["max_epochs"] == 20 and svhn["all"]["augmentations[0].horizontal_flip.prob"] == 0
    assert cifar100["full"]["backbone.kwargs.width"] == 256
