"""Untrained models, and a folder of images of two classes."""

import pytest
from support.checkpoints import write_checkpoint
from support.images import write_images

from cplearn_solo.inference.pretrained import load_pretrained

NAMES = [f"{kind}/{i:02}.png" for kind in ("cat", "dog") for i in range(20)]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return load_pretrained(write_checkpoint(tmp_path_factory.mktemp("cplearn")))


@pytest.fixture(scope="session")
def without_codes(tmp_path_factory):
    return load_pretrained(write_checkpoint(tmp_path_factory.mktemp("simclr"), "simclr"))


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", NAMES)
    return tmp_path / "images"
