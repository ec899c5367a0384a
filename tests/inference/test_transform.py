"""Images in memory as a backbone wants them: what is made of the same images in files."""

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from support.encoded import png
from support.images import noise_images, pil, smooth_image

from cplearn_solo import load_backbone
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import Normalise, eval_loader
from cplearn_solo.inference.images import images_at
from cplearn_solo.inference.pretrained import load_pretrained, transform_of

MEAN, STD = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])


def from_file(model, folder):
    """The only image of a folder, as a run reads it."""
    images = images_at(model, str(folder))
    loader = eval_loader(images, crop_size=model.config.augmentations[0].crop_size, batch_size=1, num_workers=0)
    ((_, batch, _),) = loader
    return Normalise(images.mean, images.std)(batch)[0]


IMAGES = {
    "colour": pil(noise_images(1, 30, 21)[0]),
    "grey": pil(noise_images(1, 30, 21)[0]).convert("L"),
    "palette": pil(noise_images(1, 30, 21)[0]).convert("P"),
    "alpha": pil(noise_images(1, 30, 21)[0]).convert("RGBA"),
    "one bit": pil(noise_images(1, 30, 21)[0]).convert("1"),
    "16 bits": Image.fromarray(np.arange(60_000, 60_630, dtype=np.uint16).reshape(30, 21)),
}
IMAGES["alpha"].putalpha(pil(noise_images(1, 30, 21, seed=1)[0]).convert("L"))


@pytest.mark.parametrize("name", IMAGES)
def test_an_opened_image_is_what_its_file_is(name, model, tmp_path):
    IMAGES[name].save(tmp_path / "x.png")
    transform = transform_of(model)
    wanted = from_file(model, tmp_path)
    with Image.open(tmp_path / "x.png") as image:
        assert torch.equal(transform(image), wanted) and torch.equal(transform(image), wanted)  # and stays as it was
    if name != "16 bits":  # whose range the file's format says
        assert torch.equal(transform(IMAGES[name]), wanted)


def test_colours_of_16_bits_from_a_file_in_memory(model, tmp_path):
    content = png(np.random.default_rng(0).integers(0, 65536, (30, 21, 3)), 16, 2)
    (tmp_path / "x.png").write_bytes(content)
    with Image.open(io.BytesIO(content)) as image:
        assert torch.equal(transform_of(model)(image), from_file(model, tmp_path))


def test_a_turned_photograph_is_upright_and_nearly_its_file(model, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    pil(smooth_image(96, 160)).save(tmp_path / "x.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "x.jpg") as image:
        found = transform_of(model)(image)
    off = (found - from_file(model, tmp_path)).abs() * torch.tensor(STD)[:, None, None] * 255
    assert off.mean() < 2  # grey levels


def test_tensors_of_either_kind_and_batches(model):
    transform, images = transform_of(model), noise_images(3, 16, 16)
    batch = transform(images)
    assert torch.equal(batch, torch.stack([transform(image) for image in images]))
    assert torch.equal(batch[0], transform(pil(images[0])))
    level = 1 / 255 / STD.min()  # 8 bits are rounded along either side
    torch.testing.assert_close(transform(images / 255), batch, rtol=0, atol=level)
    same = transform(noise_images(1, 8, 8)[0])  # of the size that is wanted: only normalised
    wanted = (noise_images(1, 8, 8)[0].numpy() / 255 - MEAN[:, None, None]) / STD[:, None, None]
    np.testing.assert_allclose(same, wanted, rtol=1e-5, atol=1e-6)


def test_large_crops_are_of_256_parts_in_224(model):
    transform = replace(transform_of(model), crop_size=224)
    ramp = torch.arange(256, dtype=torch.uint8).expand(3, 256, 256)
    levels = transform(ramp)[0] * STD[0] + MEAN[0]
    torch.testing.assert_close(levels[0] * 255, torch.arange(16.0, 240), rtol=0, atol=1e-3)


def test_a_backbone_brings_its_own(cplearn, model):
    backbone = load_backbone(cplearn)
    images = noise_images(2, 20, 20)
    assert backbone(backbone.transform(images)).shape == (2, backbone.num_features)
    assert pickle.loads(pickle.dumps(backbone.transform)) == transform_of(model)


@pytest.mark.parametrize(
    "image, words",
    [
        (torch.zeros(1, 8, 8, dtype=torch.uint8), r"image = \(1, 8, 8\): must be of shape \(3, height, width\)"),
        (torch.zeros(8, 8, dtype=torch.uint8), r"image = \(8, 8\): must be"),
        (torch.full((3, 8, 8), 255.0), "image = '255 to 255': must be uint8, or floats in"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "image = 'torch.int64': must be uint8"),
        (np.zeros((8, 8, 3), np.uint8), "image = ndarray: must be a PIL image or a tensor"),
        (Image.new("I;16", (8, 8)), "data.range = None: must be"),
    ],
)
def test_other_images_are_refused(image, words, model):
    with pytest.raises(InputError, match=words):
        transform_of(model)(image)


def test_bands_are_taken_as_they_are(checkpoint, tmp_path):
    four = transform_of(load_pretrained(checkpoint(channels=4, dataset="custom", train_path=str(tmp_path))))
    assert four(Image.new("RGBA", (9, 9), (1, 2, 3, 0))).shape == (4, 8, 8)
    for mode in ("RGB", "CMYK"):
        with pytest.raises(InputError, match=f"its mode is {mode}; data.channels is 4"):
            four(Image.new(mode, (9, 9)))
