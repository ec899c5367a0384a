"""Configurations that are written and read again, and which of them are the same run."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from cplearn_solo.config.identity import ADDED_KEYS, difference, identifying
from cplearn_solo.config.list_keys import value_at
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.as_yaml import as_yaml
from cplearn_solo.core.files import write_file

BASE = {"method": "cplearn", "augmentations": [{"crop_size": 8, "num_crops": 2}]}
LIKE_NUMBERS = st.from_regex(r"[-+]?[0-9_]{0,3}[.:x]?[0-9_]{1,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True)
WORDS = st.sampled_from(
    ["null", "true", "off", "~", "2026-01-05", "0o7", ".inf", "nan", "- a", "a: b", "#1", "=", "<<"]
)
TEXT = (st.text("abc 01.:-#'\"\\{}[],&*!|>%@`~=\té写😀\x85\u2028\udce9") | LIKE_NUMBERS | WORDS).filter(bool)
SHARE = st.floats(0.01, 1)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
ANY = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=4
)


@st.composite
def configurations(draw):
    """Valid keys and values of a pretraining on one's own images."""
    positive = st.floats(0, allow_infinity=False)
    paths = {
        "dataset": "custom",
        "train_path": draw(TEXT | st.lists(TEXT, min_size=1)),
        "val_path": draw(st.none() | TEXT),
    }
    rrc = dict(zip(("crop_min_scale", "crop_max_scale"), sorted((draw(SHARE), draw(SHARE)))))
    return {
        **BASE,
        "name": draw(TEXT),
        "method_kwargs": {"beta": draw(st.floats(1e-30, 1e30) | st.integers(0, 3) | st.just("auto"))},
        "backbone": {"kwargs": draw(st.dictionaries(TEXT, ANY, max_size=3))},
        "data": {**paths, "label_column": draw(TEXT), "max_train_images": draw(st.none() | st.integers(1))},
        "augmentations": [
            {"num_crops": draw(st.integers(2, 5)), "rrc": rrc, "mean": draw(st.none() | st.just([0.1] * 3))}
        ],
        "optimizer": {"lr": draw(positive), "weight_decay": draw(positive)},
        "seed": draw(st.integers(0, 2**32 - 1)),
        "max_epochs": draw(st.integers(1, 10**9)),
    }


@given(configurations())
def test_what_a_run_stores_is_read_as_it_was(tmp_path_factory, values):
    config, file = parse_config(values), tmp_path_factory.getbasetemp() / "config.yaml"
    write_file(file, as_yaml(config.stored()))
    read = OmegaConf.load(file)
    assert OmegaConf.to_container(read) == config.stored()
    assert parse_config(read).stored() == config.stored()


WHOLE = parse_config(
    {**BASE, "method": "byol", "momentum": {}, "data": {"dataset": "custom", "val_split": 0.1}}
).plain()


def leaves(values, path=()):
    """The dotted keys of a plain configuration."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    found = [key for name, value in items for key in leaves(value, (*path, str(name)))]
    return found or [".".join(path)]


def changed(value):
    """Another value of the same type."""
    if isinstance(value, (dict, list)):
        return {"a": 1} if isinstance(value, dict) else [*value, 1]
    return not value if isinstance(value, bool) else f"{value}x" if isinstance(value, (str, type(None))) else value + 1


def copy(values, changes, random, path=""):
    """A plain configuration with keys in another order, and ``changes`` of some dotted keys."""
    if path[:-1] in changes:
        return changed(values)
    if isinstance(values, dict):
        return {
            name: copy(values[name], changes, random, f"{path}{name}.")
            for name in random.sample(list(values), len(values))
        }
    if isinstance(values, list):
        return [copy(value, changes, random, f"{path}{i}.") for i, value in enumerate(values)]
    return values


# A result counts only for the choice to stop or not, but a run goes on with either: the two differ there on purpose.
KEYS = sorted(set(leaves(WHOLE)) - {"on_collapse"})


@given(st.sets(st.sampled_from(KEYS), max_size=4), st.integers(0, 2**32 - 1))
def test_runs_are_the_same_exactly_if_their_results_have_the_same_name(changes, seed):
    """The order of keys does not count, and a change is told by its key."""
    other = copy(WHOLE, changes, Random(seed))
    assert all((value_at(other, key) != value_at(WHOLE, key)) == (key in changes) for key in KEYS)
    told = [line.partition(": ")[0] for line in difference(other, WHOLE)]
    assert bool(told) == (identifying(other) != identifying(WHOLE))
    assert all(any(f"{key}.".startswith(f"{one}.") for one in changes) for key in told)
    assert sorted(told) == sorted(line.partition(": ")[0] for line in difference(WHOLE, other))
    older = copy(other, (), Random(seed))
    for key in ADDED_KEYS.keys() - changes:
        room, _, name = key.partition(".")
        del older[room][name]
    assert identifying(older) == identifying(other) and not difference(other, older)
