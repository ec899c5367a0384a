"""Images that both hosts train on."""

import pytest
import torch
from sklearn.datasets import load_digits
from support.images import pil


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """Folders of PNGs, one a class."""
    root, data = tmp_path_factory.mktemp("digits"), load_digits()
    for part, chosen in (("train", range(150)), ("val", range(150, 200))):
        for i in chosen:
            folder = root / part / str(data.target[i])
            folder.mkdir(parents=True, exist_ok=True)
            image = torch.tensor(data.images[i] / 16 * 255).byte().expand(3, 8, 8).contiguous()
            pil(image).save(folder / f"{i}.png")
    return root
