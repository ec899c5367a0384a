"""What a method cannot be made from is a line that names the key as a configuration has it."""

import warnings

import pytest

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods import build_method, catalog, method_facts

BAD = (-5, 0, -1.5, 2**45, float("nan"), "x", None, [], [-1.0, 2.0], {"a": 1}, True)
BATCH = 256  # which W-MSE's blocks divide


@pytest.mark.parametrize("name", sorted(catalog._ours()))  # not those of packages that are installed here
def test_a_value_that_makes_no_sense_is_told_by_its_key(name):
    for key in method_facts(name).defaults:
        for value in BAD:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of layers without a single weight
                    build_method(name, 32, batch_size=BATCH, method_kwargs={key: value})
            except InputError as error:
                assert "method_kwargs." in str(error) and "\n" not in str(error), (key, value)


@pytest.mark.parametrize(
    "given, line",
    [
        ({"proj_output_dim": -5}, "method_kwargs.proj_output_dim = -5: must be at least 1"),
        ({"dictionary_seed": -1}, "method_kwargs.dictionary_seed = -1: must be in 0 ..."),
        ({"eps": 0.5}, "method_kwargs.eps = 0.5: must be above 0 and below 1/c"),
        ({"beta": float("inf")}, "method_kwargs.beta = inf: must be 0, or of a size from 1e-38 to 3e+38"),
        ({"prior": [1.0, 2.0]}, "shape of method_kwargs.prior = (2,): must be"),
        ({"dictionary": "hadamard", "proj_hidden_dim": 5}, "method_kwargs.proj_hidden_dim, method_kwargs.proj_output"),
        ({"proj_hidden_dim": 2**45}, "method_kwargs.proj_hidden_dim = 35184372088832: method 'cplearn' cannot be"),
    ],
)  # fmt: skip
def test_names_of_functions_become_keys(given, line):
    with pytest.raises(InputError) as error:
        build_method("cplearn", 32, batch_size=BATCH, method_kwargs=given)
    assert str(error.value).startswith(line)


def test_the_batch_is_named_by_its_key():
    with pytest.raises(InputError, match=r"^optimizer\.batch_size = 1: must be at least 2"):
        build_method("cplearn", 32, batch_size=1, method_kwargs={})
