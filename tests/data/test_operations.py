"""With its random numbers given, every batched operation equals PIL's or torchvision's."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from support.images import noise_images, pil, smooth_image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data import colour, geometry
from cplearn_solo.data.centre import centre, sides_in_memory, sides_of_files
from cplearn_solo.data.random_source import RandomSource

LEVEL = 1 / 255


@pytest.mark.parametrize("box", [(0, 0, 40, 48), (3, 5, 32, 32), (7, 1, 9, 40), (30, 40, 10, 8), (12, 13, 1, 2)])
@pytest.mark.parametrize("size", [8, 32, 57])
@pytest.mark.parametrize("flip", [False, True])
def test_crop_and_resize_like_pil(box: tuple[int, ...], size: int, flip: bool) -> None:
    for image in (smooth_image(40, 48), noise_images(1, 40, 48)[0]):
        top, left, height, width = box
        wanted = pil(image).crop((left, top, left + width, top + height)).resize((size, size), Image.BICUBIC)
        wanted = F.to_image(F.horizontal_flip(wanted) if flip else wanted) / 255
        positions = torch.arange(size)[None]
        top, left, height, width = (torch.tensor([float(v)]) for v in (top, left, height, width))
        rows = geometry.bicubic_weights(top, height, positions, 40)
        columns = geometry.bicubic_weights(left, width, positions.flip(1) if flip else positions, 48)
        ours = geometry.resample(image[None] / 255, rows, columns)[0]
        # PIL rounds to 8 bits after either pass; a sharp filter may enlarge the first rounding by its gain, 1.5.
        assert (ours - wanted).abs().max() <= (0.5 + 0.5 * 1.5 + 0.01) * LEVEL


@pytest.mark.parametrize("mode", ["reflect", "constant", "edge"])
def test_padding_like_torchvision(mode: str) -> None:
    image, n = noise_images(1, 12, 12)[0], 200
    random = RandomSource(torch.Generator().manual_seed(0), torch.device("cpu"))
    crops = geometry.resize_and_crop((image / 255).expand(n, -1, -1, -1), random, 12, 3, mode, flip=0.0)
    padded = F.pad(image / 255, [3] * 4, padding_mode=mode)
    windows = padded.unfold(1, 12, 1).unfold(2, 12, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    distance = (crops[:, None] - windows[None]).abs().amax((2, 3, 4))
    assert distance.amin(1).max() < 1e-6  # every crop is a window,
    assert len(distance.argmin(1).unique()) > 40  # and nearly all of the 49 are drawn


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.3, 2.0])
@pytest.mark.parametrize("size", [4, 8, 32, 70])
def test_blur_like_torchvision(sigma: float, size: int) -> None:
    x = noise_images(3, size, size) / 255
    taps = 2 * min(6, size - 1) + 1
    wanted = F.gaussian_blur(x, [taps, taps], [sigma, sigma])
    torch.testing.assert_close(geometry.blur(x, torch.full((3,), sigma)), wanted, atol=1e-4, rtol=0)


def colours() -> torch.Tensor:
    """Noise, and the colours where hue is a matter of convention: black, white, grey, and channels that tie."""
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * 3).T.reshape(1, 3, 3, 9)
    noise = noise_images(4, 16, 9) / 255
    return torch.cat([noise, corners.repeat(4, 1, 1, 1)], dim=2)


@pytest.mark.parametrize(
    ("ours", "theirs", "factors"),
    [
        (colour.brightness, F.adjust_brightness, (0.0, 0.6, 1.0, 1.4)),
        (colour.contrast, F.adjust_contrast, (0.0, 0.6, 1.0, 1.4)),
        (colour.saturation, F.adjust_saturation, (0.0, 0.8, 1.0, 1.2)),
        (colour.hue, F.adjust_hue, (-0.5, -0.1, 0.0, 0.37)),
    ],
)
def test_colour_like_torchvision(ours, theirs, factors: tuple[float, ...]) -> None:
    x = colours()
    wanted = torch.stack([theirs(image, factor) for image, factor in zip(x, factors)])
    result = ours(x.clone(), torch.tensor(factors).view(-1, 1, 1, 1))
    torch.testing.assert_close(result, wanted, atol=1e-4, rtol=0)


def test_grayscale_solarize_equalize_like_torchvision() -> None:
    images = noise_images(4, 16, 16)
    x = images / 255
    torch.testing.assert_close(colour.grayscale(x.clone()), F.rgb_to_grayscale(x, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(colour.solarize(x.clone()), F.solarize(images, 128) / 255)
    torch.testing.assert_close(colour.equalize(x), F.equalize(images) / 255)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (20, 60), (60, 20), (5, 200)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.9, 1.0)])
def test_boxes_like_torchvision(height: int, width: int, scale: tuple[float, float]) -> None:
    n = 20_000
    boxes = geometry.random_boxes(
        n, height, width, scale, RandomSource(torch.Generator().manual_seed(0), torch.device("cpu"))
    )
    top, left, h, w = boxes
    assert ((h >= 1) & (w >= 1) & (top >= 0) & (left >= 0) & (top + h <= height) & (left + w <= width)).all()
    torch.manual_seed(0)
    image, crop = torch.zeros(3, height, width), v2.RandomResizedCrop(8, scale=scale)
    params = [crop.make_params([image]) for _ in range(1500)]
    for name, ours in zip(("top", "left", "height", "width"), boxes):
        theirs = torch.tensor([float(p[name]) for p in params])
        # Means within four standard errors of both samples; equal where nothing varies.
        error = (theirs.var() / len(theirs) + ours.var() / n).sqrt()
        assert (ours.mean() - theirs.mean()).abs() <= 4 * error + 1e-6, name


@pytest.mark.parametrize(
    ("height", "width", "crop_size", "size"), [(32, 32, 32, 32), (40, 48, 32, 40), (20, 28, 32, 32), (8, 8, 8, 8)]
)
def test_eval_never_shrinks_images_in_memory(height: int, width: int, crop_size: int, size: int) -> None:
    """They keep their size or are enlarged, as Pillow does at that size."""
    images = smooth_image(height, width)[None]
    ours = centre(images, *sides_in_memory(images, crop_size))
    assert ours.dtype == torch.uint8 and ours.shape == (1, 3, size, size)
    assert (ours[0].int() - pillows_centre(images[0], size, size).int()).abs().max() <= 1


@pytest.mark.parametrize(("crop_size", "resized"), [(224, 256), (96, 110), (64, 64), (32, 32)])
def test_eval_crops_photographs(crop_size: int, resized: int) -> None:
    image = smooth_image(300, 400)
    assert sides_of_files(crop_size) == (resized, crop_size)
    ours = centre(image[None], resized, crop_size)[0]
    away = (ours.int() - pillows_centre(image, resized, crop_size).int()).abs().float()
    assert away.max() <= 2 and away.mean() < 0.1  # weights of 15 bits, rounded between rows and columns


def pillows_centre(image: torch.Tensor, resized: int, size: int) -> torch.Tensor:
    return F.pil_to_tensor(F.center_crop(F.resize(pil(image), resized, v2.InterpolationMode.BICUBIC), size))


def test_of_a_line_only_the_middle_is_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    line = torch.randint(0, 256, (3, 4, 400), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    ours = centre(line, 32, 28)
    monkeypatch.setattr("cplearn_solo.data.centre.LONGEST", 1000)
    assert torch.equal(ours, centre(line, 32, 28))
    monkeypatch.undo()
    assert centre(torch.zeros(3, 10**6, 1, dtype=torch.uint8), 256, 224).shape == (3, 224, 224)  # else 200 GB
