"""Checking a configuration needs neither PyTorch nor Lightning, so that a mistake is told at once."""

import json
import subprocess
import sys

import pytest
from support.configs import shipped

from cplearn_solo.methods import METHODS, catalog

PROGRAM = """
import json, sys
from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DATASETS, check_data

plain = json.loads(sys.argv[1])
check_data(parse_config(plain).data)
assert "parquet" in DATASETS
for wrong in ({"method": "cplern"}, {"method_kwargs": {"bet": 1}}, {"seed": None}, {"strateg": "ddp"}):
    try:
        parse_config({**plain, **wrong})
    except InputError:
        continue
    raise SystemExit(f"{wrong} passes")
print(*{"torch", "lightning", "numpy", "timm", "PIL"} & sys.modules.keys())
"""


def test_a_check_imports_no_framework():
    command = [sys.executable, "-c", PROGRAM, json.dumps(shipped("cplearn"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(catalog._ours()))
def test_what_the_source_says_of_a_method_is_what_its_class_says(name):
    assert catalog._ours()[name] == catalog._of_class(METHODS[name])
