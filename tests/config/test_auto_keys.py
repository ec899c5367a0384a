"""Keys that say ``auto``: what is chosen for them, and that any other value holds."""

import io
import struct
from dataclasses import replace
from pathlib import Path
from shutil import make_archive

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image, features
from support.configs import PRETRAIN, shipped
from support.images import noise_images, pil, write_images, write_parquet

from cplearn_solo.auto.choose import DECIDING, choose, following
from cplearn_solo.auto.rules import RULES, Known
from cplearn_solo.auto.seen import Seen, look_at
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.splits import load_splits
from cplearn_solo.interface.checked import checked
from cplearn_solo.methods.catalog import _ours as shipped_methods

SEEN = Seen(images=300, side=32, gpu=False, bfloat16=False)


def auto(where, **changes):
    """The shipped configuration for the images at ``where``."""
    data = {"train_path": str(where), **changes.pop("data", {})}
    return shipped("cplearn", "auto", data=data, accelerator="cpu", **changes)


def rule(key, seen=SEEN, **known):
    known = {name.replace("__", "."): value for name, value in known.items()}
    return RULES[key](Known(seen, known.get)).value


def chosen(raw):
    """Its configuration once nothing says auto any more."""
    return parse_config(choose(raw).values)


@pytest.fixture
def flat(tmp_path):
    write_images(tmp_path / "flat", [f"{i}.png" for i in range(12)])
    return tmp_path / "flat"


def test_everything_is_chosen_and_says_why(flat):
    values, lines = choose(auto(flat))
    config = parse_config(values)
    assert "auto" not in str({**values, "name": "", "accelerator": ""})
    assert config.data.no_labels and config.data.dataset == "custom" and config.optimizer.batch_size == 8
    assert config.augmentations[0].crop_size == 16  # of 20 x 24 pixels
    said = {line.split()[1].partition("=")[0] for line in lines}
    assert said >= {"data.no_labels", "max_epochs", "method_kwargs.proj_output_dim", "optimizer.lr", "precision"}
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize(
    "where, word",
    [
        ("my photos", "my-photos"),
        ("flowers/train", "flowers"),
        ("flowers/train-00000-of-2.zip", "flowers"),
        ("cats_train", "cats_train"),
        ("v1.2", "v1.2"),
        ("2024.01.zip", "2024.01"),
        ("Bla\u0308tter", "Bl\u00e4tter"),  # a letter and its dots
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),  # vowel signs
    ],
)
def test_a_run_is_named_by_its_method_and_its_images(where, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images", [f"a/{i}.png" for i in range(12)])
    place = Path(where)
    place.parent.mkdir(exist_ok=True)
    zipped = place.suffix == ".zip"
    make_archive(str(place.with_suffix("")), "zip", "images") if zipped else Path("images").rename(place)
    assert chosen(auto(place)).name == f"cplearn-{word}"
    assert chosen(OmegaConf.merge(auto(place), {"name": "mine"})).name == "mine"
    if not zipped:
        assert chosen(auto(place / "*")).name == f"cplearn-{word}"
        monkeypatch.chdir(place)
        assert chosen(auto(".")).name == f"cplearn-{word}"


def test_each_run_says_what_was_chosen_for_it(flat, capsys):
    """Also the second one of a Python session or a sweep."""
    said = []
    for _ in range(2):
        checked(auto(flat))
        said.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("auto  ")])
    assert said[0] == said[1] == choose(auto(flat)).lines


def test_the_choices_are_the_same_again_and_follow_the_images(flat):
    first = choose(auto(flat))
    assert choose(auto(flat)) == first
    write_images(flat, [f"more/{i}.png" for i in range(60)])
    assert choose(auto(flat)).values["optimizer"]["batch_size"] == 64


def test_any_key_overrides_its_choice_and_what_follows_from_it(flat):
    changes = {
        "max_epochs": 3,
        "method_kwargs": {"proj_output_dim": 5},
        "backbone": {"name": "resnet18"},
        "data": {"no_labels": True},
    }
    config = chosen(auto(flat, **changes))
    assert config.max_epochs == 3 and config.method_kwargs["proj_output_dim"] == 5
    assert config.backbone.name == "resnet18" and config.backbone.kwargs == {}
    assert config.scheduler.warmup_epochs == pytest.approx(0.15)


def test_codes_are_chosen_in_every_configuration_of_cplearn():
    raw = shipped("cplearn", method_kwargs={"proj_output_dim": "auto"})
    config = chosen(raw)
    assert config.method_kwargs["proj_output_dim"] >= 2 and config.method_kwargs["proj_hidden_dim"] == 128
    assert choose(shipped("cplearn")).lines == []


@pytest.mark.parametrize(
    "side, gpu, size", [(8, 0, 8), (20, 0, 16), (28, 0, 32), (500, 0, 64), (500, 1, 224), (40, 1, 32)]
)
def test_crops_are_about_as_large_as_images(side, gpu, size):
    assert rule("augmentations.N.crop_size", replace(SEEN, side=side, gpu=bool(gpu))) == size


def test_batches_and_epochs_follow_the_number_of_images():
    sizes = [rule("optimizer.batch_size", replace(SEEN, images=n)) for n in (2, 3, 63, 300, 10**6)]
    assert sizes == [2, 2, 32, 64, 64]
    epochs = [
        rule("max_epochs", replace(SEEN, images=n), optimizer__batch_size=min(64, n)) for n in (2, 300, 3000, 10**6)
    ]
    assert epochs == sorted(epochs, reverse=True) and epochs[-1] >= 5


@pytest.mark.parametrize("changes", [{"val_split": 0.2}, {"imbalance": 10.0}, {"val_split": 0.2, "fraction": 0.6}])
def test_few_images_are_counted_as_a_run_will_train_on_them(changes, tmp_path):
    """Held-out images are drawn one by one, so that more may be held out than their share, and a batch be too large."""
    write_images(tmp_path, [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(10)])
    data = DataConfig(dataset="custom", train_path=str(tmp_path), **changes)
    images = DATASETS["custom"](data, False)[0]
    for seed in range(4):
        left = len(load_splits(data, seed=seed).train)
        assert look_at(images, data, seed=seed, accelerator="cpu").images == left


def test_images_that_a_search_will_hold_out_are_left_out(flat, tmp_path):
    write_images(tmp_path / "labelled", [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(8)])
    for place, sizes in ((tmp_path / "labelled", (16, 8)), (flat, (8, 8))):
        whole, fewer = choose(auto(place)).values, choose(auto(place), held_out=0.2).values
        assert (whole["optimizer"]["batch_size"], fewer["optimizer"]["batch_size"]) == sizes
        assert fewer["data"] == whole["data"]  # the search sets it


def test_the_warm_up_is_a_share_of_the_epochs_that_there_are():
    for steps, found in ((None, 5.0), (-1, 5.0), (80, 0.8), (10_000, 5.0)):  # 5 steps an epoch
        known = {"max_epochs": 100, "max_steps": steps, "optimizer__batch_size": 60}
        assert rule("scheduler.warmup_epochs", **known) == found


def test_a_gpu_changes_what_fits():
    gpu = replace(SEEN, gpu=True)
    assert rule("backbone.name") == "resnet8" and rule("backbone.name", gpu) == "resnet18"
    assert [rule("precision", s) for s in (SEEN, gpu, replace(gpu, bfloat16=True))] == ["32-true"] * 2 + ["bf16-mixed"]
    assert rule("backbone.kwargs.width", backbone__name="resnet18") is None


def labels(where, **data):
    """Whether training images have labels."""
    return not choose(auto(where, data=data)).values["data"]["no_labels"]


def test_labels_are_seen_where_there_are_some(flat, tmp_path):
    assert not labels(flat)
    write_images(tmp_path / "classes", [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(4)])
    assert labels(tmp_path / "classes")
    pil(noise_images(1, 8, 8)[0]).save(tmp_path / "classes/stray.png")  # one beside them changes nothing
    assert labels(tmp_path / "classes")
    write_images(tmp_path / "one", [f"all/{i}.png" for i in range(4)])
    assert not labels(tmp_path / "one")
    write_images(flat, ["some/a.png", "others/b.png"])  # and two folders among many images are no classes
    assert not labels(flat)


def test_lists_and_tables_too(flat, tmp_path):
    rows = [f"flat/{i}.png" for i in range(12)]
    (tmp_path / "plain.csv").write_text("\n".join(["file", *rows]))
    (tmp_path / "labels.csv").write_text("\n".join(["file,kind", *(f"{row},{i % 2}" for i, row in enumerate(rows))]))
    assert not labels(tmp_path / "plain.csv") and labels(tmp_path / "labels.csv")
    write_parquet(tmp_path / "x.parquet", noise_images(6, 9, 9), [0, 1, 2, 0, 0, 0])
    write_parquet(tmp_path / "y.parquet", noise_images(6, 9, 9), None)
    assert labels(tmp_path / "x.parquet") and not labels(tmp_path / "y.parquet")
    with pytest.raises(InputError, match="data.label_column = 'sort'"):
        labels(tmp_path / "y.parquet", label_column="sort")
    assert choose(auto(tmp_path / "x.parquet")).values["data"]["dataset"] == "parquet"
    assert choose(auto("digits")).values["data"] == {
        "dataset": "digits", "train_path": "./datasets", "no_labels": False, "val_split": 0.0,
    }  # fmt: skip


def test_what_cannot_be_chosen_is_a_line(flat, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("")
    (tmp_path / "broken").mkdir()
    for i in range(3):
        (tmp_path / f"broken/{i}.png").write_bytes(b"nothing")
    write_images(tmp_path / "single", ["a.png"])
    for where, words in {
        "empty": "must be a folder with images",
        "texts": "must be a folder with images, and it holds 1 .txt",
        "nowhere": "must be a file or folder that exists",
        "single": "must be at least 2 images to train on, and there is 1",
        "broken": "unreadable image",
    }.items():
        with pytest.raises(InputError, match=words) as told:
            choose(auto(tmp_path / where))
        assert where in str(told.value) and "\n" not in str(told.value)
    for change, words in (
        ({"optimizer": {"batch_size": "many"}}, "optimizer.batch_size = 'many': must be a whole number"),
        ({"max_epoch": 3}, "did you mean 'max_epochs'"),
        ({"optimizer": {"name": "lars"}}, "optimizer.lr = 'auto': must be a number for optimizer.name=lars"),
        ({"seed": "auto"}, "seed = 'auto': must be a whole number"),
        ({"data": {"val_split": 0.1}}, "data.val_split = 0.1: must be 0 where no_labels"),
    ):
        with pytest.raises(InputError, match=words):
            checked(auto(flat, **change))
    for key in ("proj_output_dim", "proj_hidden_dim"):
        raw = shipped("byol", method_kwargs={key: "auto"})
        with pytest.raises(InputError, match=f"method_kwargs.{key} = 'auto': must be a number for method 'byol'"):
            choose(raw)


def test_an_image_of_which_nothing_is_known_is_left_to_the_training(flat, monkeypatch):
    choices = choose(auto(flat)).values
    huge = bytearray(encoded(Image.new("1", (8, 8)), "BMP"))
    huge[18:26] = struct.pack("<ii", 20_000, 9_000)
    (flat / "huge.bmp").write_bytes(huge)
    if features.check("avif"):  # which raises RuntimeError for a header without the place of the image
        (flat / "damaged.avif").write_bytes(encoded(Image.new("RGB", (20, 24)), "AVIF").replace(b"iloc", b"free"))
    assert choose(auto(flat)).values["augmentations"] == choices["augmentations"]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # of the program around, where data.max_pixels decides
    assert choose(auto(flat)).values["augmentations"] == choices["augmentations"]


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_what_follows_from_other_keys_is_known(flat):
    """A search that varies one of them says in its command what the others were."""
    raw, asked = auto(flat), set()
    for gpu in (False, True):
        known = Known(replace(SEEN, gpu=gpu), lambda key: asked.add(key) or {"backbone.name": "resnet8"}.get(key, 8))
        for choice in RULES.values():
            choice(known)
    assert asked <= DECIDING
    values = choose(raw).values
    assert following(raw, values, ["optimizer.weight_decay", "method_kwargs.beta"]) == {}
    found = following(raw, values, ["method_kwargs.beta", "optimizer.batch_size"])
    assert found["max_epochs"] == values["max_epochs"] and found["augmentations.0.crop_size"] == 16
    again = choose(auto(flat, optimizer={"batch_size": 2})).values
    assert again["max_epochs"] != values["max_epochs"] and not any(key.startswith("data.") for key in found)


def test_nothing_is_left_behind_in_random_numbers(flat):
    before = torch.get_rng_state()
    choose(auto(flat))
    assert torch.equal(torch.get_rng_state(), before) and Path(flat).is_dir()


def test_labelled_images_are_held_out_where_there_are_enough(tmp_path):
    for count, share in ((8, 0.0), (60, 0.1)):
        place = tmp_path / str(count)
        write_images(place, [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(count)])
        assert chosen(auto(place)).data.val_split == share
    assert chosen(auto(place, data={"val_split": 0.25})).data.val_split == 0.25
    assert chosen(auto(place, data={"val_path": str(tmp_path / "8")})).data.val_split == 0
    assert chosen(auto(place, data={"no_labels": True})).data.val_split == 0


@pytest.mark.parametrize("scored, share", [([0, 1, 0], 0.0), ([-1, -1, -1], 0.1), (None, 0.1)])
def test_a_labelled_part_of_tables_is_scored_if_there_is_one(scored, share, tmp_path):
    write_parquet(tmp_path / "train.parquet", noise_images(120, 9, 9), [0, 1] * 60)
    write_parquet(tmp_path / "test.parquet", noise_images(3, 9, 9, seed=1), scored)
    assert chosen(auto(tmp_path)).data.val_split == share


def test_every_method_has_a_configuration_for_images_of_ones_own(flat):
    for name in sorted(path.stem for path in (PRETRAIN / "auto").glob("*.yaml")):
        small, own = (shipped(name, folder) for folder in ("cifar_mini", "auto"))
        assert own["method"] == small["method"] == name and own.get("momentum") == small.get("momentum")
        if name != "cplearn":  # whose codes are chosen
            assert own["method_kwargs"] == small["method_kwargs"]
        values = choose(OmegaConf.merge(own, {"data": {"train_path": str(flat)}, "accelerator": "cpu"})).values
        assert parse_config(values).name == f"{name}-flat"
    assert {path.stem for path in (PRETRAIN / "auto").glob("*.yaml")} == set(shipped_methods())


@pytest.mark.parametrize("key", ["method_kwargs", "data", "scheduler", "optimizer", "backbone", "augmentations"])
def test_a_configuration_of_another_shape_is_told_by_its_key(key):
    with pytest.raises(InputError, match=key):
        checked({**shipped("cplearn", "digits"), key: [{"a": 1}, 2]})
