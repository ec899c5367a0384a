"""Overrides whose values are names of files as people have them, without quotes for Hydra."""

import os
import sys

import pytest
from omegaconf import OmegaConf

from cplearn_solo.cli.data_keys import data_keys
from cplearn_solo.cli.hydra_app import _with_keys, hydra_app
from cplearn_solo.config.list_keys import lists_told
from cplearn_solo.core.errors import InputError

pytestmark = pytest.mark.integration


@pytest.fixture
def value_of(tmp_path, monkeypatch):
    """The values of ``name`` that the task gets for arguments of the command line."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        found = []
        monkeypatch.setattr(sys, "argv", ["cplearn", "pretrain", *arguments])
        hydra_app(
            lambda config, _: found.append(config.name), list(arguments), program="pretrain", folder="pretrain/digits",
            config="cplearn.yaml", about="",
        )  # fmt: skip
        return found

    return call


@pytest.mark.parametrize(
    "text",
    [
        "Bücher/Größe",
        "фото/写真",
        "photos #1",
        "cats & dogs",
        "it's",
        'the "best"',
        r"C:\photos\it's",
        "photos (1)",
        "copy [old]/images",
        "[old]/images",
        "shards-{0000..0012}.tar",
        "{a}/b",
        "epoch=2.ckpt",
        "a; b ! < > ^ ` ~",
        "né#a'\\",
    ],
)
def test_text_that_hydra_cannot_read_needs_no_quotes(text, value_of):
    assert value_of(f"name={text}") == [text]
    assert value_of("-m", f"name={text}") == [text]


def test_a_path_may_begin_at_the_users_folder(value_of, tmp_path, monkeypatch):
    """Shells expand it in no word whose key has a dot, and a folder called ~ is dangerous to remove."""
    monkeypatch.setenv("HOME", str(tmp_path / "me (1)"))
    for text, found in (("~/runs", "runs"), ("~/it's, here", "it's, here"), ("~", "")):
        assert value_of(f"name={text}") == [str(tmp_path / "me (1)" / found)]
    for text in ("~x", "a~/b"):
        assert value_of(f"name={text}") == [text]


def test_a_folder_with_commas_brackets_quotes_or_outer_spaces_is_that_folder(value_of, tmp_path):
    for name in ("Berlin, 2024", "[old]", "range(1,3)", "a,b", "photos", " photos", "photos ", "'photos'", '"a"'):
        (tmp_path / name).mkdir()
        assert value_of(f"name={name}") == [name]


def test_a_first_word_without_a_key_is_a_value_of_the_programs_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "epoch=2.ckpt").touch()
    for word in ("run", "epoch=2.ckpt", "~/run"):
        assert _with_keys(["pretrained"], [word, "k=1"]) == [f"pretrained={word}", "k=1"]
    for words in ([], ["k=1", "run"], ["~k"], ["epoch=3.ckpt"]):
        assert _with_keys(["pretrained"], words) == words
    assert _with_keys([], ["run"]) == ["run"]
    assert _with_keys(["a", "b"], ["x", "y", "z"]) == ["a=x", "b=y", "z"]
    assert _with_keys(["a", "b"], ["x", "k=1", "z"]) == ["a=x", "k=1", "z"]


def test_what_hydra_reads_stays_as_it_is(value_of):
    assert value_of("name=[a,b]") == [["a", "b"]]
    assert value_of("name={a: 1}") == [{"a": 1}]
    assert value_of("name=${seed}", "seed=3") == [3]
    assert value_of("name=ü-${seed}#", "seed=3") == ["ü-3#"]
    assert value_of("name='a,b'") == ["a,b"]
    assert value_of("-m", "name=a,b") == ["a", "b"]


@pytest.mark.parametrize("text", ["2026_01_05", "1e5", "0x10", "007", "1.50", "on", "true", "-inf", "5"])
def test_text_that_looks_like_a_number_stays_as_it_was_typed(text, value_of):
    assert value_of(f"name={text}") == [text]
    assert value_of("-m", f"name={text},a") == [text, "a"]
    assert value_of(f"data.train_path={text}", "name=${data.train_path}") == [text]
    assert value_of(f"data.train_path=[a, {text}]", "name=${data.train_path}") == [["a", text]]


def test_values_that_are_no_text_are_read(value_of):
    assert value_of("seed=1_0", "name=${seed}") == [10]
    assert value_of("optimizer.lr=1e-1", "name=${optimizer.lr}") == [0.1]
    assert value_of("data.val_path=null", "name=${data.val_path}") == [None]


@pytest.mark.parametrize("text", ["2024_01", "1e5", "on", "#1", "a: b", "é {x}"])
def test_data_that_is_text_stays_as_it_was_typed(text):
    assert data_keys([f"label_column={text}", f"data.background={text}"]) == {"label_column": text, "background": text}
    assert data_keys(["label_column='5'", "max_pixels=1_0", "range=[0, 9]", "val_path=null"]) == {
        "label_column": "5", "max_pixels": 10, "range": [0, 9], "val_path": None,
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [["name=[a,#]"], ["name={a,b#}"], ["-m", "name=a#,b"]])
def test_lists_mappings_and_sweeps_with_mistakes_are_one_line(arguments, value_of, capfd):
    with pytest.raises(SystemExit, match="2"):
        value_of(*arguments)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("pretrain: error: override 'name=")
    assert "needs quotes" in line


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("augmentations.crop_size=16", "unknown configuration key 'augmentations.crop_size': {}.crop_size"),
        ("augmentations.5.crop_size=3", "unknown configuration key 'augmentations.5.crop_size': {}.crop_size"),
        ("augmentations.1=3", "unknown configuration key 'augmentations.1': {}"),
        ("~augmentations.crop_size", "unknown configuration key 'augmentations.crop_size': {}.crop_size"),
        ("augmentations={a: 1}", "override 'augmentations={{a: 1}}': Cannot merge DictConfig with ListConfig"),
        ("hydra=3", "overrides 'seed=1 hydra=3': Config group override must be a string or a list. Got int"),
        ("=3", "override = '=3': must be key=value"),
        ("~=3", "override = '~=3': must be key=value"),
    ],
)
def test_an_override_that_fits_nowhere_is_a_line_of_its_own(override, words, value_of, capfd):
    with pytest.raises(SystemExit, match="2"):
        value_of("seed=1", override)
    choices = "augmentations is a list of 1, choices are augmentations.0"
    assert capfd.readouterr().err == f"pretrain: error: {words.format(choices)}\n"


def test_a_sweep_over_a_key_that_a_list_lacks_is_a_line(value_of, capfd):
    for key in ("augmentations.crop_size", "augmentations.5.crop_size"):
        with pytest.raises(SystemExit, match="2"):
            value_of("-m", f"{key}=8,16")
        assert capfd.readouterr().err.startswith(
            f"pretrain: error: unknown configuration key '{key}': augmentations is"
        )


def test_keys_of_a_list_are_those_of_its_elements():
    values = {"a": [{"b": 1}, {"b": 2}], "range": [0, 1], "none": []}
    for key, choices in {
        "a.b": "a is a list of 2, choices are a.0.b to a.1.b",
        "a.-3.b": "a is a list of 2, choices are a.0.b to a.1.b",
        "range.low": "range is a list of 2, choices are range.0 to range.1",
        "none.0.b": "none is a list of 0, choices are none",
    }.items():
        with pytest.raises(InputError) as told, lists_told([key], lambda: OmegaConf.create(values)):
            raise ValueError
        assert str(told.value) == f"unknown configuration key {key!r}: {choices}"
    with pytest.raises(ZeroDivisionError), lists_told(["a.0.b", "a.1", "x.y"], lambda: OmegaConf.create(values)):
        1 / 0  # noqa: B018


def test_several_values_without_a_sweep_are_told_how_to_say_it(value_of, capfd):
    with pytest.raises(SystemExit, match="2"):
        value_of("seed=0,1,2")
    line = "pretrain: error: override 'seed=0,1,2': seed=[0,1,2] is a list, and with -m there is a run for each\n"
    assert capfd.readouterr().err == line


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=1,2"]])
def test_a_configuration_in_another_encoding_is_one_line(arguments, value_of, tmp_path, capfd):
    (tmp_path / "mine.yaml").write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(SystemExit, match="2"):
        value_of("-cp", str(tmp_path), "-cn", "mine.yaml", *arguments)
    assert "mine.yaml: must be text in UTF-8" in capfd.readouterr().err


def test_data_of_the_collapse_report_may_lie_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("Bücher 😀 #1", "a: b", "{old}", '"', "a\x85b", os.fsdecode(b"caf\xe9")):
        (tmp_path / name).mkdir()
        assert data_keys([f"val_path={name}", "max_val_images=5"]) == {"val_path": name, "max_val_images": 5}
