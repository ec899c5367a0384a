"""Views of images in memory, of images in files, and torchvision's come from one distribution.

Many views of an image are drawn each way, summed up in a few statistics, and compared by two-sample
Kolmogorov-Smirnov tests. All seeds are fixed.
"""

from __future__ import annotations

import pytest
import torch
from scipy.stats import ks_2samp
from sklearn.datasets import load_digits
from support.images import noise_images, pil, smooth_image
from support.torchvision_views import torchvision_view
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data import Augmentation, BatchAugment, batch_views
from cplearn_solo.data.crops import cut, draw_crops
from cplearn_solo.data.decoding import Decoded
from cplearn_solo.data.schema import RRC, ColorJitter, GaussianNoise, Prob, RandomCrop

ZERO, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
SINGLY, TOGETHER = 500, 3000  # views drawn either way; torchvision is the slow one
# There, pixels are rounded to 8 bits after every operation; PIL's colour operations even round down, which
# darkens by half a level or 0.002 each. Dither well above that makes statistics that hardly vary comparable, and
# takes little power from those that do.
DITHER = 0.02


def digit() -> Tensor:
    image = torch.from_numpy(load_digits().images[3] * (255 / 16))[None, None]
    large = torch.nn.functional.interpolate(image, (32, 32), mode="bilinear")
    return large[0].round().to(torch.uint8).repeat(3, 1, 1)


IMAGES = {
    "digit": digit(),
    "square": smooth_image(32, 32),
    "wide": smooth_image(40, 48, seed=1),
    "sharp": noise_images(1, 32, 32)[0],
}

WHOLE = {"rrc": RRC(enabled=False)}
CASES = {
    "resize": Augmentation(**WHOLE, crop_size=24),
    "rrc": Augmentation(),
    "rrc_shrinking": Augmentation(crop_size=16),
    "reflect": Augmentation(**WHOLE, random_crop=RandomCrop(True, 4)),
    "constant": Augmentation(**WHOLE, random_crop=RandomCrop(True, 6, "constant")),
    "edge": Augmentation(**WHOLE, random_crop=RandomCrop(True, 6, "edge")),
    "brightness": Augmentation(**WHOLE, color_jitter=ColorJitter(0.8, 0.4, 0, 0, 0)),
    "contrast": Augmentation(**WHOLE, color_jitter=ColorJitter(0.8, 0, 0.4, 0, 0)),
    "saturation": Augmentation(**WHOLE, color_jitter=ColorJitter(0.8, 0, 0, 0.4, 0)),
    "hue": Augmentation(**WHOLE, color_jitter=ColorJitter(1.0, 0, 0, 0, 0.3)),
    "jitter": Augmentation(**WHOLE, color_jitter=ColorJitter(0.8)),
    "grayscale": Augmentation(**WHOLE, grayscale=Prob(0.3)),
    "blur": Augmentation(**WHOLE, gaussian_blur=Prob(0.7)),
    "solarize": Augmentation(**WHOLE, solarization=Prob(0.4)),
    "equalize": Augmentation(**WHOLE, equalization=Prob(0.4)),
    "flip": Augmentation(**WHOLE, horizontal_flip=Prob(0.5)),
    "noise": Augmentation(**WHOLE, gaussian_noise=GaussianNoise(0.1)),
    "symmetric": Augmentation(color_jitter=ColorJitter(0.8), grayscale=Prob(0.2), horizontal_flip=Prob(0.5)),
    "asymmetric": Augmentation(
        color_jitter=ColorJitter(0.8),
        grayscale=Prob(0.2),
        gaussian_blur=Prob(0.5),
        solarization=Prob(0.2),
        equalization=Prob(0.1),
        horizontal_flip=Prob(0.5),
    ),
    "table6": Augmentation(
        **WHOLE,
        random_crop=RandomCrop(True, 4),
        color_jitter=ColorJitter(0.1),
        horizontal_flip=Prob(0.5),
        gaussian_noise=GaussianNoise(0.05),
    ),
}


def statistics(views: Tensor, seed: int) -> dict[str, Tensor]:
    """Views (n, 3, S, S) -> name -> (n,), dithered."""
    generator = torch.Generator().manual_seed(seed)
    dither = {name: DITHER * torch.randn(len(views), generator=generator) for name in ("pixels", "all")}
    grey = views.mean(1)
    across = torch.linspace(-1, 1, views.shape[-1])
    high, low = views.amax(1), views.amin(1)
    found = {
        "red": views[:, 0].mean((1, 2)),
        "green": views[:, 1].mean((1, 2)),
        "blue": views[:, 2].mean((1, 2)),
        "contrast": grey.flatten(1).std(1),
        "saturation": (high - low).mean((1, 2)),
        "gradient_x": grey.diff(dim=2).square().mean((1, 2)).sqrt(),
        "gradient_y": grey.diff(dim=1).square().mean((1, 2)).sqrt(),
        "left_right": (grey * across).mean((1, 2)),
        "top_bottom": (grey * across[:, None]).mean((1, 2)),
        # A rounding error moves a whole flat area across the threshold, so here the pixels are dithered as well.
        "bright": (grey + dither["pixels"][:, None, None] > 0.5).float().mean((1, 2)),
        "border": torch.cat([grey[:, 0], grey[:, -1]], 1).mean(1),
    }
    return {name: values + dither["all"] for name, values in found.items()}


def singly(aug: Augmentation, image: Tensor, n: int = SINGLY) -> Tensor:
    torch.manual_seed(1)
    pipeline, source = torchvision_view(aug), pil(image)
    return torch.stack([pipeline(source) for _ in range(n)])


def together(aug: Augmentation, image: Tensor, seed: int = 2, n: int = TOGETHER) -> Tensor:
    # Batches of 20: the order of the colour operations is drawn per batch and has to vary, too.
    augment, generator = BatchAugment([aug], ZERO, ONE), torch.Generator().manual_seed(seed)
    return torch.cat([augment(image.expand(20, -1, -1, -1), generator)[0] for _ in range(n // 20)])


def from_file(aug: Augmentation, image: Tensor, n: int = TOGETHER) -> Tensor:
    """Cut one by one, coloured in batches of 20."""
    augment, generator = BatchAugment([aug], ZERO, ONE), torch.Generator().manual_seed(5)
    height, width = image.shape[1:]
    decoded = Decoded(pil(image), False, (width, height))
    crops = [cut(decoded, draw_crops([aug], width, height, seed))[0] for seed in range(n)]
    return torch.cat([augment([batch], generator)[0] for batch in torch.stack(crops).split(20)])


def least_p(first: Tensor, second: Tensor) -> tuple[float, str]:
    """The smallest p-value among the statistics, times their number (Bonferroni), and its statistic."""
    one, two = statistics(first, seed=3), statistics(second, seed=4)
    p, name = min((ks_2samp(one[k], two[k], method="asymp").pvalue, k) for k in one)
    return p * len(one), name


# Every operation on the colourful image that is not square, pipelines on others as well, blur where it shows.
PIPELINES = ("rrc", "symmetric", "asymmetric", "table6")
PAIRS = [(case, "wide") for case in CASES] + [(case, image) for case in PIPELINES for image in ("digit", "square")]
PAIRS += [("blur", "sharp"), ("resize", "sharp"), ("rrc_shrinking", "sharp")]
# Two paths that agree fail somewhere with one in a hundred choices of seeds.
FAIR = 0.01 / len(PAIRS)


def marked(case: str, image: str) -> object:
    """Pipelines are in the default tests on one image each."""
    repeated = image in ("digit", "square")
    return pytest.param(case, image, marks=pytest.mark.slow if repeated else ())


@pytest.mark.parametrize(("case", "image"), [marked(*pair) for pair in PAIRS])
def test_same_distribution(case: str, image: str) -> None:
    aug = CASES[case]
    theirs = singly(aug, IMAGES[image])
    for ours in (together, from_file):
        p, name = least_p(theirs, ours(aug, IMAGES[image]))
        assert p > FAIR, (ours, name)


@pytest.fixture
def computing_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: operations are computed for all samples and kept for the chosen ones."""
    monkeypatch.setattr(batch_views, "_computes_all", lambda x: True)


def test_same_distribution_computing_all(computing_all: None) -> None:
    aug = CASES["asymmetric"]
    p, name = least_p(singly(aug, IMAGES["wide"]), together(aug, IMAGES["wide"]))
    assert p > FAIR, name


def test_computing_all_changes_the_same_samples(request: pytest.FixtureRequest) -> None:
    aug = Augmentation(**WHOLE, grayscale=Prob(0.5), solarization=Prob(0.5), equalization=Prob(0.5))
    chosen_only = together(aug, IMAGES["square"], n=100)
    request.getfixturevalue("computing_all")
    assert torch.equal(together(aug, IMAGES["square"], n=100), chosen_only)


JITTER = ColorJitter(1.0, 0.4, 0, 0, 0)
DIFFERENT = {
    "brightness": (Augmentation(color_jitter=JITTER, **WHOLE), {"color_jitter": ColorJitter(1.0, 0.6, 0, 0, 0)}),
    "contrast": (Augmentation(color_jitter=ColorJitter(1, 0, 0.4, 0, 0), **WHOLE), {"color_jitter": JITTER}),
    "scale": (Augmentation(), {"rrc": RRC(crop_min_scale=0.3)}),
    "flip": (Augmentation(**WHOLE, horizontal_flip=Prob(0.5)), {"horizontal_flip": Prob(0.2)}),
    "grayscale": (Augmentation(**WHOLE, grayscale=Prob(0.2)), {"grayscale": Prob(0.4)}),
    "blur": (Augmentation(**WHOLE, gaussian_blur=Prob(0.5)), {"gaussian_blur": Prob(0.8)}),
    "solarize": (Augmentation(**WHOLE, solarization=Prob(0.2)), {"solarization": Prob(0.4)}),
    "padding": (Augmentation(**WHOLE, random_crop=RandomCrop(True, 4)), {"random_crop": RandomCrop(True, 6)}),
    "mode": (
        Augmentation(**WHOLE, random_crop=RandomCrop(True, 6, "reflect")),
        {"random_crop": RandomCrop(True, 6, "constant")},
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_notices_a_small_change(case: str) -> None:
    aug, change = DIFFERENT[case]
    image = IMAGES["sharp" if case == "blur" else "square"]
    changed = Augmentation(**{**vars(aug), **change})
    p, _ = least_p(singly(aug, image), together(changed, image))
    assert p < FAIR


def test_crops_are_independent_and_in_order() -> None:
    augs = [Augmentation(num_crops=2, crop_size=32), Augmentation(num_crops=3, crop_size=16)]
    images = torch.stack([IMAGES["square"]] * 4)
    views = BatchAugment(augs, ZERO, ONE)(images, torch.Generator().manual_seed(0))
    assert [tuple(v.shape) for v in views] == [(4, 3, 32, 32)] * 2 + [(4, 3, 16, 16)] * 3
    assert not torch.equal(views[0], views[1])
    assert not torch.equal(views[0][0], views[0][1])


def test_views_repeat_with_the_generator() -> None:
    images, augment = torch.stack([IMAGES["wide"]] * 8), BatchAugment([CASES["asymmetric"]], ZERO, ONE)
    first, again, other = (augment(images, torch.Generator().manual_seed(s))[0] for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(5)
    assert torch.isfinite(augment(images)[0]).all()


def test_nothing_to_do_is_only_normalisation() -> None:
    images = torch.stack([IMAGES["square"]] * 2)
    aug = Augmentation(**WHOLE, num_crops=2)
    for view in BatchAugment([aug, aug], (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))(images):
        torch.testing.assert_close(view, F.normalize(images / 255, [0.5, 0.4, 0.3], [0.2, 0.2, 0.1]))


def test_every_image_may_become_grey() -> None:
    images = torch.stack([IMAGES["square"]] * 2)
    (view,) = BatchAugment([Augmentation(**WHOLE, grayscale=Prob(prob=1.0))], ZERO, ONE)(images)
    torch.testing.assert_close(view, F.rgb_to_grayscale(images / 255, 3), atol=1e-3, rtol=0)
