"""What is written as YAML is read as it was."""

import pytest
from omegaconf import OmegaConf

from cplearn_solo.core.as_yaml import as_yaml, quoted

TEXTS = [
    "0.1_e5",
    "1._0e3",
    "2024_e5",
    "1e5",
    "on",
    "null",
    "~",
    "1:30",
    "a\x85b",
    "\u2028",
    "a\n\nb",
    "caf\udce9",
    "😀",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_stays_text(tmp_path, text):
    (tmp_path / "a.yaml").write_text(as_yaml({"key": text, text: [text]}), encoding="utf-8")
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "a.yaml")) == {"key": text, text: [text]}
    assert OmegaConf.to_container(OmegaConf.from_dotlist([f"key={quoted(text)}"])) == {"key": text}


def test_other_values_are_written_as_omegaconf_does():
    values = OmegaConf.create({"b": [1, 1e-8, None, True], "a": {"path": "./data", "seed": "${b}"}, "empty": {}})
    assert as_yaml(values) == OmegaConf.to_yaml(values)
