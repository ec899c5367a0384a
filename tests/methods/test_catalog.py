"""What is read from the text of a method's file is what its class says when it is imported."""

import pytest

from cplearn_solo.methods import METHODS, catalog
from cplearn_solo.metrics.verdict import CRITERIA


def test_every_method_of_the_package_is_read():
    # without those that other tests have registered
    ours = {name for name in METHODS if METHODS[name].__module__.startswith("cplearn_solo.")}
    assert set(catalog._ours()) == ours >= {"cplearn", "gedi", "vicreg"}


@pytest.mark.parametrize("name", METHODS)
def test_facts_from_text_are_those_of_the_class(name):
    assert catalog._ours()[name] == catalog._of_class(METHODS[name])


@pytest.mark.parametrize("name", METHODS)
def test_advice_is_for_measures_of_the_verdict_and_keys_of_the_method(name):
    advice, keys = METHODS[name].advice, catalog.method_facts(name).arguments.keys()
    assert advice.keys() <= {criterion.measure for criterion in CRITERIA}
    assert {remedy.key for remedies in advice.values() for remedy in remedies} <= keys
