"""Bounds of keys: the last value that is allowed, and the first that is not."""

import math
from dataclasses import replace

import pytest

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import Augmentation, DataConfig
from cplearn_solo.data.checks import check_augmentation, check_channels, check_data, check_workers
from cplearn_solo.data.schema import RRC, ColorJitter, GaussianNoise, Prob, RandomCrop

SQUARE = {"rrc": RRC(enabled=False)}
OPERATIONS = ("grayscale", "gaussian_blur", "solarization", "equalization", "horizontal_flip")


@pytest.mark.parametrize(
    ("fine", "bad", "key"),
    [
        *(({name: Prob(p)}, {name: Prob(q)}, f"{name}.prob") for name in OPERATIONS for p, q in ((0, -0.1), (1, 1.1))),
        ({"color_jitter": ColorJitter(1.0)}, {"color_jitter": ColorJitter(1.1)}, "color_jitter.prob"),
        *(
            ({"color_jitter": ColorJitter(1.0, **{name: 0})}, {"color_jitter": ColorJitter(1.0, **{name: -0.1})}, name)
            for name in ("brightness", "contrast", "saturation", "hue")
        ),
        ({"color_jitter": ColorJitter(hue=0.5)}, {"color_jitter": ColorJitter(hue=0.51)}, "hue"),
        ({"gaussian_noise": GaussianNoise(0)}, {"gaussian_noise": GaussianNoise(-0.1)}, "gaussian_noise.std"),
        ({"gaussian_noise": GaussianNoise(9)}, {"gaussian_noise": GaussianNoise(math.inf)}, "gaussian_noise.std"),
        ({}, {"color_jitter": ColorJitter(1.0, brightness=math.inf)}, "color_jitter.brightness"),
        ({"crop_size": 1}, {"crop_size": 0}, "crop_size"),
        ({"num_crops": 1}, {"num_crops": 0}, "num_crops"),
        ({"rrc": RRC(True, 1e-3, 1.0)}, {"rrc": RRC(True, 0.0, 1.0)}, "rrc"),
        ({"rrc": RRC(True, 0.5, 0.5)}, {"rrc": RRC(True, 0.5, 0.4)}, "rrc"),
        ({"rrc": RRC(True, 0.5, 1.0)}, {"rrc": RRC(True, 0.5, 1.1)}, "rrc"),
        ({"std": [0.1, 1.0]}, {"std": [0.0, 1.0]}, "std"),
        ({**SQUARE, "random_crop": RandomCrop(True)}, {"random_crop": RandomCrop(True)}, "random_crop.enabled"),
        ({"random_crop": RandomCrop(False, 0)}, {"random_crop": RandomCrop(False, -1)}, "random_crop.padding"),
        (
            {**SQUARE, "crop_size": 8, "random_crop": RandomCrop(True, 7)},
            {**SQUARE, "crop_size": 8, "random_crop": RandomCrop(True, 8)},
            "random_crop.padding",
        ),
        (
            {**SQUARE, "crop_size": 8, "random_crop": RandomCrop(True, 8, "edge")},
            {**SQUARE, "random_crop": RandomCrop(True, 8, "mirror")},
            "random_crop.padding_mode",
        ),
        ({"crop_size": 8, "random_crop": RandomCrop(False, 8)}, {"crop_size": -8}, "crop_size"),
    ],
)
def test_augmentations(fine, bad, key):
    check_augmentation(Augmentation(**fine))
    with pytest.raises(InputError, match=rf"augmentations\.\S*{key}( = .*: must be | ')"):
        check_augmentation(Augmentation(**bad))


WITHOUT = DataConfig("custom", "images", no_labels=True)


@pytest.mark.parametrize(
    ("fine", "bad", "key"),
    [
        ({"fraction": -1}, {"fraction": 0}, "fraction"),
        ({"fraction": 1}, {"fraction": 1.1}, "fraction"),
        ({"fraction": 0.01}, {"fraction": -0.5}, "fraction"),
        ({"val_split": 0}, {"val_split": -0.1}, "val_split"),
        ({"val_split": 0.99}, {"val_split": 1}, "val_split"),
        ({"max_train_images": 1}, {"max_train_images": 0}, "max_train_images"),
        ({"max_val_images": 1}, {"max_val_images": 0}, "max_val_images"),
        ({"channels": 1}, {"channels": 0}, "channels"),
        ({"range": [0, 1]}, {"range": [1, 1]}, "range"),
        ({"range": (0, 1)}, {"range": [0, 1, 2]}, "range"),
        ({"range": "auto"}, {"range": "automatic"}, "range"),
        ({"range": None}, {"range": [0, "1"]}, "range"),
        ({"range": [-1e9, 1e9]}, {"range": [0, math.inf]}, "range"),
        ({"max_unreadable": 0}, {"max_unreadable": -0.1}, "max_unreadable"),
        ({"max_unreadable": 1}, {"max_unreadable": 1.1}, "max_unreadable"),
        ({"max_pixels": 1}, {"max_pixels": 0}, "max_pixels"),
        ({"imbalance": 1}, {"imbalance": 0.9}, "imbalance"),
        ({"imbalance": 1e9}, {"imbalance": math.inf}, "imbalance"),
        ({"dataset": "cifar10", "val_path": "a"}, {"dataset": "cifar10", "val_path": ""}, "val_path"),
        ({"dataset": "cifar10", "val_path": "a"}, {"dataset": "digits", "val_path": "a"}, "val_path"),
        ({"dataset": "custom", "train_path": ["a", "b"]}, {"train_path": ["a", "b"]}, "train_path"),
        ({"dataset": "custom", "train_path": "a"}, {"dataset": "custom", "train_path": []}, "train_path"),
        ({"dataset": "hub", "train_path": "a/b"}, {"dataset": "hub", "train_path": ["a/b"]}, "train_path"),
        ({"dataset": "custom", "no_labels": True}, {"no_labels": True}, "no_labels"),
        ({"format": "dali"}, {"format": "lmdb"}, "format"),
        ({"num_workers": 0}, {"num_workers": -1}, "num_workers"),
    ],
)
def test_data(fine, bad, key):
    check_data(replace(DataConfig(), **fine))
    with pytest.raises(InputError, match=rf"data\.{key}( = .*: must be | ')"):
        check_data(replace(DataConfig(), **bad))


@pytest.mark.parametrize("change", [{"val_split": 0.1}, {"imbalance": 2.0}])
def test_what_needs_labels(change):
    check_data(WITHOUT)
    with pytest.raises(InputError, match=f"data.{next(iter(change))} = .*: must be "):
        check_data(replace(WITHOUT, **change))


def test_operations_of_colour_need_three_channels():
    grey = Augmentation(color_jitter=ColorJitter(0.8, saturation=0, hue=0), mean=[0.5], std=[0.2])
    check_channels([grey], 1)
    check_channels([Augmentation(color_jitter=ColorJitter(0.8), grayscale=Prob(0.2), mean=[0.5] * 3)], 3)
    check_channels([Augmentation(color_jitter=ColorJitter(0.0, saturation=1, hue=0.1))], 4)
    keys = ("color_jitter.saturation", "color_jitter.hue", "grayscale.prob")
    settings = " ".join(f"augmentations.1.{key}=0" for key in keys)
    said = f"^data.channels = 4: must be 3 for augmentations of colour; without them: {settings}$"
    with pytest.raises(InputError, match=said):
        check_channels([Augmentation(), Augmentation(color_jitter=ColorJitter(0.8), grayscale=Prob(0.1))], 4)
    with pytest.raises(InputError, match=r"augmentations.mean = \[0.5\]: must be as many numbers"):
        check_channels([grey], 3)


def test_numbers_of_workers():
    for value in ("auto", 0, 3):
        check_workers("data.num_workers", value)
    for value in (-1, True, 2.5, "many", None, [2]):
        with pytest.raises(InputError, match=r"^data.num_workers = .*: must be auto or an integer from 0 up$"):
            check_workers("data.num_workers", value)
