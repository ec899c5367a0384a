"""What a file of search spaces says, and what it must not say."""

import pytest
from omegaconf import OmegaConf
from support.configs import PRETRAIN

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods.catalog import _ours as shipped_methods
from cplearn_solo.methods.catalog import method_facts
from cplearn_solo.tuning.domains import Choice, Range
from cplearn_solo.tuning.spaces import _read, read_space

SHIPPED = PRETRAIN.parent / "tune/spaces.yaml"
PLAIN = {
    "method": "cplearn",
    "optimizer": {"lr": 0.02, "weight_decay": 0.0},
    "method_kwargs": {"beta": 1.0, "proj_output_dim": 64},
    "augmentations": [{"crop_size": 8}],
}


@pytest.fixture
def space(tmp_path):
    """Function from the text of a file to the space of cplearn, or of another method."""

    def read(text, method="cplearn", **more):
        (tmp_path / "mine.yaml").write_text(text)
        return read_space(tmp_path / "mine.yaml", method, PLAIN, **more)

    return read


def test_the_kinds_of_values(space):
    found = space(
        "all: {optimizer.lr: {times: [0.1, 10]}, optimizer.weight_decay: {choices: [0, 1e-4, null]}}\n"
        "cplearn: {method_kwargs.beta: {low: 0.5, high: 2.0}, augmentations.0.crop_size: {low: 6, high: 8}}\n"
        "swav: {method_kwargs.temperature: {choices: [1, 2]}}"
    )
    assert found == {
        "optimizer.lr": Range(0.002, 0.2, log=True),
        "optimizer.weight_decay": Choice((0, 1e-4, None)),
        "method_kwargs.beta": Range(0.5, 2.0),
        "augmentations.0.crop_size": Range(6, 8, whole=True),
    }
    assert space("all: {method_kwargs.proj_output_dim: {times: [0.25, 4]}}")["method_kwargs.proj_output_dim"] == Range(
        16, 256, log=True, whole=True
    )


def test_a_methods_own_entry_counts_and_given_keys_do_not_vary(space):
    text = "all: {optimizer.lr: {times: [0.1, 10]}}\ncplearn: {optimizer.lr: {choices: [1, 2]}}"
    assert space(text) == {"optimizer.lr": Choice((1, 2))}
    text += "\nbyol: null"
    assert space(text, "byol", fixed=["optimizer.weight_decay"]) == {"optimizer.lr": Range(0.002, 0.2, log=True)}
    with pytest.raises(InputError, match="mine.yaml.*besides those that you give, optimizer.lr$"):
        space(text, fixed=["optimizer"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cplearn: {method_kwargs.bta: {low: 0, high: 1}}",
            "key of cplearn 'method_kwargs.bta': did you mean 'method_k",
        ),
        (
            "all: {optimiser.lr: {low: 0, high: 1}}",
            "key of cplearn 'optimiser.lr': .*choices are augmentations, method",
        ),
        ("all: {augmentations.1.crop_size: {low: 0, high: 1}}", "key of cplearn 'augmentations.1.crop_size'.*tions.0$"),
        ("all: {augmentations.-1.crop_size: {low: 6, high: 8}}", "key of cplearn 'augmentations.-1.crop_size'"),
        ("all: {augmentations.0.crop: {low: 0, high: 1}}", "choices are augmentations.0.crop_size$"),
        ("all: {optimizer.lr.low: {low: 0, high: 1}}", "choices are optimizer.lr$"),
        ("all: {3: {low: 0, high: 1}}", "unknown key of cplearn 3: choices are augmentations, method"),
        ("cplern: {optimizer.lr: {low: 0, high: 1}}", "method 'cplern': did you mean 'cplearn'"),
        ("all: {optimizer.lr: {low: 1}}", "optimizer.lr = {'low': 1}: must be two numbers, low less than high"),
        ("all: {optimizer.lr: {low: 0, high: 1, log: true}}", "low = 0: must be above 0"),
        ("all: {optimizer.lr: {low: 0, high: 1, choices: [1, 2]}}", "must be {choices: "),
        ("all: {optimizer.lr: {choices: [0.1, 1], log: true}}", "log is of a range alone"),
        ("all: {optimizer.lr: {times: [0.1, 10], log: false}}", "log is of a range alone"),
        ("all: {optimizer.lr: {choices: [1]}}", "at least two"),
        ("all: {optimizer.lr: {choices: [[1], [2]]}}", "numbers or words"),
        ("all: {optimizer.lr: {choices: [1, 2, 1]}}", "all different"),
        ("all: {optimizer.lr: {low: 1, high: .inf}}", "must be two numbers"),
        ("all: {method_kwargs.proj_output_dim: {times: [1, .inf]}}", "times = .1.0, inf.: must be"),
        ("all: {optimizer.lr: [0.1, 1]}", r"optimizer.lr = \[0.1, 1\]: must be {choices: "),
        ("all: {optimizer.lr: }", "optimizer.lr = None: must be {choices: "),
        ("all: {optimizer.weight_decay: {times: [0.1, 10]}}", "weight_decay = 0.0: must be above 0"),
        ("all: {optimizer.lr: {times: [2, 1]}}", r"times = \[2.0, 1.0\]: must be"),
        ("all: {optimizer.lr: {lo: 1}}", "unknown .*key 'lo'"),
        ("all: [1, 2]", "must be a mapping"),
        ("all: {", "mine.yaml"),
        ("{}", "a file with keys of cplearn that may vary$"),
    ],
)
def test_mistakes_name_file_key_and_choices(space, text, message):
    with pytest.raises(InputError, match=message) as error:
        space(text)
    assert "mine.yaml" in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_text_is_told_in_a_line(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"all: {optimizer.lr: {choices: [\xff, 1]}}")
    with pytest.raises(InputError, match="space = .*mine.yaml.*decode"):
        read_space(tmp_path / "mine.yaml", "cplearn", PLAIN)


def test_places_and_values_of_a_domain_belong_together():
    lr = Range(1e-3, 1e-1, log=True)
    assert lr.at(0) == 1e-3 and lr.at(0.5) == 0.01 and lr.at(0.999999) == 0.1
    assert lr.place(0.01) == pytest.approx(0.5) and 0.2 not in lr and lr.place(0.2) > 1 and lr.place(0) == -1
    assert {Range(1, 3, whole=True).at(i / 10) for i in range(10)} == {1, 2, 3}
    words = Choice(("a", None, 3))
    assert [words.at(p) for p in (0, 0.34, 0.99)] == ["a", None, 3]
    assert [words.at(words.place(value)) for value in words.values] == list(words.values) and words.place("b") == -1


def test_every_method_has_a_shipped_space_that_its_configuration_on_digits_takes():
    assert sorted(_read(SHIPPED)) == sorted(["all", *shipped_methods()])
    for path in sorted((PRETRAIN / "digits").glob("*.yaml")):
        plain = OmegaConf.to_container(OmegaConf.load(path))
        method = plain["method"]
        whole = {**plain, "method_kwargs": {**method_facts(method).defaults, **plain["method_kwargs"]}}
        whole["optimizer"] = {**plain["optimizer"], "weight_decay": 0.0}
        most = 5 if method == "cplearn" else 4  # where its number of codes is given, CPLearn has as many as the others
        assert 3 <= len(read_space(SHIPPED, method, whole)) <= most, method
