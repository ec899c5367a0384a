"""Which images a config selects, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from omegaconf import OmegaConf
from sklearn.datasets import load_digits
from support.images import noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import Augmentation, DataConfig, FileSet, MemorySet, check_augmentation, load_splits
from cplearn_solo.data.schema import RRC, ColorJitter, GaussianNoise, Prob, RandomCrop

CIFAR = Path(__file__).parents[3] / "shared/data/cifar10"


def splits(seed: int = 0, **config):
    return load_splits(DataConfig(**config), seed=seed)


def rows(images: MemorySet) -> set[bytes]:
    return {image.numpy().tobytes() for image in images.images}


# --- digits and selections ---------------------------------------------------------------------------------------


def test_digits_are_split_once_and_for_all() -> None:
    one, two = splits(0), splits(1)
    assert (len(one.train), len(one.test), one.name) == (1438, 359, "test")
    assert torch.equal(one.test.images, two.test.images)
    assert torch.equal(one.train.labels, two.train.labels)
    assert not rows(one.train) & rows(one.test)
    share = one.test.labels.bincount() / (one.train.labels.bincount() + one.test.labels.bincount())
    assert (share - 0.2).abs().max() < 0.01
    assert one.train.images.dtype == torch.uint8
    assert (one.train.images.min(), one.train.images.max()) == (0, 255)
    pixels = one.train.images.double() / 255
    torch.testing.assert_close(torch.tensor(one.train.mean), pixels.mean((0, 2, 3)).float())
    torch.testing.assert_close(torch.tensor(one.train.std), pixels.std((0, 2, 3), correction=0).float())
    assert one.test.mean == one.train.mean


def test_val_split_holds_out_training_images() -> None:
    whole, one, again, other = splits(), splits(3, val_split=0.25), splits(3, val_split=0.25), splits(4, val_split=0.25)
    assert one.name == "val"
    assert rows(one.train) | rows(one.test) == rows(whole.train)
    assert not rows(one.train) & rows(one.test)
    assert len(one.test) == round(len(whole.train) * 0.25)
    assert torch.equal(one.test.images, again.test.images)
    assert not torch.equal(one.test.images, other.test.images)
    share = one.test.labels.bincount() / whole.train.labels.bincount()
    assert (share - 0.25).abs().max() < 0.01


def test_fraction_is_stratified_and_leaves_the_held_out_images_alone() -> None:
    whole, part = splits(val_split=0.2), splits(val_split=0.2, fraction=0.1)
    assert rows(part.train) < rows(whole.train)
    assert torch.equal(part.test.images, whole.test.images)
    assert (part.train.labels.bincount() - whole.train.labels.bincount() * 0.1).abs().max() <= 1


def test_first_images() -> None:
    some = splits(max_train_images=20, max_val_images=7)
    assert torch.equal(some.train.images, splits().train.images[:20])
    assert torch.equal(some.test.images, splits().test.images[:7])


def test_given_normalisation_replaces_the_data_sets() -> None:
    given = load_splits(DataConfig(), seed=0, mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6])
    assert given.train.mean == given.test.mean == (0.1, 0.2, 0.3)
    assert given.train.std == given.test.std == (0.4, 0.5, 0.6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dataset": "digit"}, "unknown data.dataset 'digit': did you mean 'digits'"),
        ({"format": "h5"}, "unknown data.format 'h5'"),
        ({"num_workers": -1}, "data.num_workers = -1: must be"),
        ({"max_train_images": 0}, "data.max_train_images = 0: must be"),
        ({"max_val_images": -3}, "data.max_val_images = -3: must be"),
        ({"fraction": 0.0}, "data.fraction = 0.0: must be"),
        ({"fraction": 1.5}, "data.fraction = 1.5: must be"),
        ({"val_split": 1.0}, "data.val_split = 1.0: must be"),
        ({"val_split": 1e-5}, "data.val_split = 1e-05: must be a share that leaves both"),
        ({"val_split": 0.9999}, "data.val_split = 0.9999: must be a share that leaves both"),
        ({"fraction": 1e-5}, "data.fraction = 1e-05: must be a share that keeps"),
        ({"no_labels": True}, "data.no_labels = True: must be false"),
        ({"dataset": "custom", "no_labels": True, "val_split": 0.1}, "data.val_split = 0.1: must be 0"),
    ],
)
def test_bad_config(config: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits(**config)


# --- torchvision -------------------------------------------------------------------------------------------------


class FakeCIFAR:
    classes = ("cat", "dog")

    def __init__(self, root: str, train: bool, download: bool) -> None:
        assert download  # nothing is fetched that is there
        self.root, n = root, 6 if train else 4
        self.data = noise_images(n, 32, 32, seed=int(train)).permute(0, 2, 3, 1).numpy()
        self.targets = [i % 2 for i in range(n)]


class FakeSTL:
    def __init__(self, root: str, split: str, download: bool) -> None:
        n = 6 if split == "train+unlabeled" else 4
        self.data = noise_images(n, 96, 96).numpy()
        self.labels = np.array([0, 1, 2, -1, -1, -1][:n], dtype=np.int8)


def test_torchvision_arrays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", FakeCIFAR)
    cifar = splits(dataset="cifar10", train_path=str(tmp_path), val_path="datasets/imagenet100/val")
    assert cifar.train.images.shape == (6, 3, 32, 32)
    assert torch.equal(cifar.train.images, noise_images(6, 32, 32, seed=1))
    assert cifar.test.labels.tolist() == [0, 1, 0, 1]
    assert cifar.train.mean == (0.4914, 0.4822, 0.4465)

    monkeypatch.setattr(torchvision.datasets, "STL10", FakeSTL)
    stl = splits(dataset="stl10", train_path=str(tmp_path), val_split=0.4)
    assert (stl.test.labels >= 0).all()  # only labelled images are worth holding out
    assert sorted(stl.train.labels.tolist() + stl.test.labels.tolist()) == [-1, -1, -1, 0, 1, 2]


def test_digits_are_scikit_learns_and_every_fifth_of_a_class_is_held_out() -> None:
    raw, found = load_digits(), splits()
    images = np.round(raw.images * 255 / 16).astype(np.uint8)
    assert (len(found.train), len(found.test)) == (1438, 359)
    known = {image.tobytes(): label for image, label in zip(images, raw.target)}
    for part in (found.train, found.test):
        assert [known[image[0].numpy().tobytes()] for image in part.images] == part.labels.tolist()
        assert (part.images[:, 0] == part.images[:, 2]).all() and part.classes == tuple("0123456789")
    assert (found.test.labels.bincount() - torch.from_numpy(np.bincount(raw.target)) / 5).abs().max() <= 1
    assert torch.equal(found.test.images, splits(seed=1).test.images)


def test_failed_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets, "CIFAR100", offline)
    with pytest.raises(InputError, match=f"no network.*put its files in {tmp_path}.*data.dataset=digits"):
        splits(dataset="cifar100", train_path=str(tmp_path))


# --- folders -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(tmp_path / "train", ["dog/1.png", "cat/2.JPG", "cat/deep/3.jpeg", "dog/4.PNG"])
    (tmp_path / "train/cat/notes.txt").write_text("not an image")
    write_images(tmp_path / "val", ["dog/1.png"], seed=1)
    return tmp_path


def test_class_folders(folder: Path) -> None:
    found = splits(dataset="custom", train_path=str(folder / "train"), val_path=str(folder / "val"))
    assert isinstance(found.train, FileSet)
    assert found.train.classes == ("cat", "dog")
    assert found.train.labels.tolist() == [0, 0, 1, 1]
    assert [Path(s).name for s in found.train.sources] == ["2.JPG", "3.jpeg", "1.png", "4.PNG"]
    assert found.test.labels.tolist() == [1]  # its only folder is the second class of the training images
    assert (found.train.load(0).size, found.train.load(0).mode) == ((24, 20), "RGB")
    assert found.train.mean == (0.485, 0.456, 0.406)
    assert splits(dataset="imagenet", train_path=str(folder / "train")).test is None
    assert splits(dataset="imagenet100", format="dali", train_path=str(folder / "train"), val_split=0.5).name == "val"


def test_folder_without_labels(folder: Path) -> None:
    found = splits(dataset="custom", train_path=str(folder / "train"), no_labels=True)
    assert found.train.labels.tolist() == [-1] * 4
    assert found.test is None
    assert len(splits(dataset="custom", train_path=str(folder / "train"), no_labels=True, fraction=0.5).train) == 2


def test_folder_errors(folder: Path) -> None:
    def fails(message: str, **config) -> None:
        with pytest.raises(InputError, match=message):
            splits(dataset="custom", **config)

    train = str(folder / "train")
    (folder / "empty/cat").mkdir(parents=True)
    fails("data.train_path = '.*nowhere': must be a file or folder that exists", train_path="nowhere")
    fails("data.train_path = None: must be", train_path=None)
    fails("data.val_path = '.*nowhere': must be", train_path=train, val_path="nowhere")
    fails("data.train_path = .*: must be a folder with images", train_path=str(folder / "empty"))
    fails("data.train_path = .*: must be a folder with images", train_path=str(folder / "empty"), no_labels=True)
    fails("data.train_path = .*: must be a folder of class folders", train_path=str(folder / "empty/cat"))
    write_images(folder / "other", ["horse/1.png"])
    fails(
        "data.val_path = .*: must be images of the classes in data.train_path, and 'horse' is none",
        train_path=train,
        val_path=str(folder / "other"),
    )


@pytest.mark.parametrize("content", [b"", b"nonsense", "half"])
def test_unreadable_file_is_named(folder: Path, content: bytes | str) -> None:
    path = folder / "train/cat/2.JPG"
    path.write_bytes(path.read_bytes()[:300] if content == "half" else content)
    images = splits(dataset="custom", train_path=str(folder / "train")).train
    with pytest.raises(InputError, match="unreadable image .*2.JPG"):
        images.load(0)


# --- parquet -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("struct", [True, False])
def test_parquet_in_memory(tmp_path: Path, struct: bool) -> None:
    images = noise_images(6, 12, 16)
    train = write_parquet(tmp_path / "a.parquet", images, [0, 1, 2, 0, 1, None], ["a", "b", "c", "d"], struct)
    test = write_parquet(tmp_path / "b.parquet", images[:2], [3, 0], struct=struct)
    found = splits(dataset="parquet", train_path=train, val_path=test, allow_overlap=True)
    assert torch.equal(found.train.images, images)
    assert found.train.labels.tolist() == [0, 1, 2, 0, 1, -1]
    assert (found.train.num_classes, found.train.classes) == (4, ("a", "b", "c", "d"))
    assert found.test.labels.tolist() == [3, 0]
    torch.testing.assert_close(torch.tensor(found.train.mean), (images / 255).mean((0, 2, 3)))
    assert found.test.mean == found.train.mean


def test_parquet_folder_without_names(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train/0.parquet", noise_images(2, 8, 8), [0, 4])
    write_parquet(tmp_path / "train/1.parquet", noise_images(1, 8, 8), [1])
    found = splits(dataset="parquet", train_path=str(tmp_path / "train")).train
    assert (found.labels.tolist(), found.num_classes, found.classes) == ([0, 4, 1], 5, ())


@pytest.mark.parametrize("sizes", [[(70, 65)] * 2, [(8, 8), (8, 9)]])
def test_parquet_stays_encoded_where_images_are_large_or_differ(tmp_path: Path, sizes: list) -> None:
    images = [noise_images(1, *size)[0] for size in sizes]
    found = splits(dataset="parquet", train_path=write_parquet(tmp_path / "a.parquet", images, [0, 1])).train
    assert isinstance(found, FileSet)
    assert found.load(1).size == sizes[1][::-1]


def test_parquet_without_labels(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", noise_images(3, 8, 8), None)
    found = splits(dataset="parquet", train_path=path, no_labels=True)
    assert (found.train.labels.tolist(), found.test) == ([-1] * 3, None)


def test_parquet_errors(tmp_path: Path) -> None:
    def fails(message: str, **config) -> None:
        with pytest.raises(InputError, match=message):
            splits(dataset="parquet", **config)

    images = noise_images(3, 8, 8)
    good = write_parquet(tmp_path / "good.parquet", images, [0, 1, 0])
    fails("data.image_column = 'image': must be a column of .*: img, label", train_path=good, image_column="image")
    fails("data.label_column = 'fine': must be a column of .*: img, label", train_path=good, label_column="fine")
    fails(
        "data.image_column = 'label': must be a column of binary .* it is int64",
        train_path=good,
        image_column="label",
        no_labels=True,
    )
    fails(
        "data.image_column = 'label': must be another column than data.label_column",
        train_path=good,
        image_column="label",
    )
    fails("data.train_path = '.*nowhere': must be a file or folder that exists", train_path="nowhere")
    (tmp_path / "empty").mkdir()
    fails("data.train_path = .*: must be parquet files with rows", train_path=str(tmp_path / "empty"))
    (tmp_path / "broken.parquet").write_bytes(b"nonsense")
    fails("unreadable parquet file .*broken", train_path=str(tmp_path / "broken.parquet"))

    def bad(labels: list, names: list[str] | None = None) -> str:
        return write_parquet(tmp_path / "bad.parquet", images, labels, names)

    fails("data.label_column = .*: must be a column of integers, .* it is binary", train_path=bad([b"a", b"b", b"c"]))
    fails("data.label_column = .*: must be a column of labels from 0 up, .* holds -1", train_path=bad([0, -1, 1]))
    fails(
        "data.label_column = .*: must be a column of labels from 0 to 1, .* holds 2",
        train_path=bad([0, 1, 2], ["a", "b"]),
    )
    fails(
        "data.val_path = .*: must be images with labels from 0 to 1, .* holds 5",
        train_path=good,
        val_path=bad([0, 5, 0]),
    )
    unreadable = write_parquet(tmp_path / "c.parquet", [images[0], b"nonsense", images[1]], [0, 1, 0])
    fails(
        "data.max_unreadable = 0: must be higher to skip 1 or more of 3 .*: unreadable image row 1 of .*c.parquet",
        train_path=unreadable,
        max_unreadable=0,
    )
    fails("unreadable image row 0 of", train_path=write_parquet(tmp_path / "d.parquet", [None], [0]))


@pytest.mark.skipif(not CIFAR.is_dir(), reason=f"no CIFAR-10 parquet files in {CIFAR}")
def test_cifar_parquet() -> None:
    paths = {"train_path": str(CIFAR / "train.parquet"), "val_path": str(CIFAR / "test.parquet")}
    found = splits(dataset="parquet", **paths, max_train_images=2000, max_val_images=500)
    assert found.train.images.shape == (2000, 3, 32, 32)
    assert found.train.classes[0] == "airplane"
    assert (torch.tensor(found.train.mean) - torch.tensor([0.4914, 0.4822, 0.4465])).abs().max() < 0.02
    assert (found.train.labels.bincount() > 150).all()


# --- schema ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grayscale": Prob(1.2)}, r"augmentations.grayscale.prob = 1.2"),
        ({"color_jitter": ColorJitter(-0.1)}, r"augmentations.color_jitter.prob = -0.1"),
        ({"color_jitter": ColorJitter(0.5, hue=0.6)}, r"augmentations.color_jitter.hue = 0.6"),
        ({"color_jitter": ColorJitter(0.5, contrast=-1)}, r"augmentations.color_jitter.contrast = -1"),
        ({"gaussian_noise": GaussianNoise(-1)}, r"augmentations.gaussian_noise.std = -1"),
        ({"crop_size": 0}, r"augmentations.crop_size = 0"),
        ({"num_crops": 0}, r"augmentations.num_crops = 0"),
        ({"rrc": RRC(crop_min_scale=0.9, crop_max_scale=0.3)}, r"augmentations.rrc = \(0.9, 0.3\)"),
        ({"rrc": RRC(crop_min_scale=0.0)}, r"augmentations.rrc = \(0.0, 1.0\)"),
        (
            {"random_crop": RandomCrop(True)},
            r"random_crop.enabled = True: must be false where augmentations.rrc.enabled is true",
        ),
        ({"random_crop": RandomCrop(False, 4, "wrap")}, r"unknown augmentations.random_crop.padding_mode 'wrap'"),
        ({"random_crop": RandomCrop(False, -1)}, r"augmentations.random_crop.padding = -1"),
        ({"rrc": RRC(False), "random_crop": RandomCrop(True, 8), "crop_size": 8}, r"less than crop_size \(8\)"),
        ({"std": [0.5, 0.0, 0.5]}, r"augmentations.std = .*: must be positive"),
    ],
)
def test_bad_augmentation(change: dict, message: str) -> None:
    check_augmentation(Augmentation())
    with pytest.raises(InputError, match=message):
        check_augmentation(Augmentation(**change))


def test_schema_is_a_structured_config() -> None:
    merged = OmegaConf.merge(OmegaConf.structured(Augmentation), {"rrc": {"enabled": False}, "mean": [0.1, 0.2, 0.3]})
    augmentation = OmegaConf.to_object(merged)
    assert (augmentation.rrc.enabled, augmentation.mean) == (False, [0.1, 0.2, 0.3])
    check_augmentation(merged)
    assert OmegaConf.to_object(OmegaConf.structured(DataConfig)) == DataConfig()


def test_checks_need_no_torch() -> None:
    code = """
import sys
from cplearn_solo.data import DATASETS, Augmentation, DataConfig, check_augmentation, check_data
check_augmentation(Augmentation())
check_data(DataConfig())
assert "parquet" in DATASETS
print(*{"torch", "numpy", "PIL"} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
