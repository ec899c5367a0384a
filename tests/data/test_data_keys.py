"""Keys of ``data`` and ``augmentations`` that a configuration does not say have the values that kept runs had."""

from dataclasses import asdict

from cplearn_solo.data import Augmentation, DataConfig


def test_augmentations():
    assert asdict(Augmentation()) == {
        "rrc": {"enabled": True, "crop_min_scale": 0.08, "crop_max_scale": 1.0},
        "random_crop": {"enabled": False, "padding": 4, "padding_mode": "reflect"},
        "color_jitter": {"prob": 0.0, "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1},
        **{key: {"prob": 0.0} for key in ("grayscale", "gaussian_blur", "solarization", "equalization")},
        "horizontal_flip": {"prob": 0.0},
        "gaussian_noise": {"std": 0.0},
        **{"crop_size": 32, "num_crops": 1, "mean": None, "std": None},
    }


def test_data():
    assert asdict(DataConfig()) == {
        **{"dataset": "digits", "train_path": "./datasets", "val_path": None, "format": "image_folder"},
        **{"num_workers": "auto", "no_labels": False, "fraction": -1.0, "imbalance": None, "val_split": 0.0},
        **{"max_train_images": None, "max_val_images": None, "allow_overlap": False, "channels": 3},
        **{"image_column": "img", "label_column": "label", "range": None, "background": "white"},
        **{"max_unreadable": 0.01, "max_pixels": 178_956_970},
    }
