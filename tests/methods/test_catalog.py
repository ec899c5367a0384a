"""Every method of the package is read from its file's text, and advises of what there is."""

import pytest

from cplearn_solo.methods import METHODS, catalog
from cplearn_solo.metrics.verdict import CRITERIA


def test_every_method_of_the_package_is_read():
    # without those that other tests have registered
    ours = {name for name in METHODS if METHODS[name].__module__.startswith("cplearn_solo.")}
    assert set(catalog._ours()) == ours >= {"cplearn", "gedi", "vicreg"}


@pytest.mark.parametrize("name", catalog._ours())  # not those of packages that are installed here
def test_advice_is_for_measures_of_the_verdict_and_keys_of_the_method(name):
    advice, keys = METHODS[name].advice, catalog.method_facts(name).arguments.keys()
    assert advice.keys() <= {criterion.measure for criterion in CRITERIA}
    assert {remedy.key for remedies in advice.values() for remedy in remedies} <= keys
    assert catalog.method_facts(name).summary.endswith("."), "cplearn methods shows the first line, a whole sentence"
