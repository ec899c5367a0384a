"""What spectra and entropies are of: against an explicit matrix, padded as the released code pads it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from support.configs import shipped

from cplearn_solo.collapse.protocols import PROTOCOLS, WIDTH
from cplearn_solo.collapse.released import released_parts
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import MemorySet
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.inference.pretrained import Pretrained

pytestmark = pytest.mark.integration

STANDARD, RELEASED = PROTOCOLS["standard"], PROTOCOLS["released"]
X = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 5)) * [1, 2, 3, 0.5, 0.1] + 4)


def padded(x):
    """Scaled by the range of the whole matrix, zeros up to 2,048 dimensions."""
    x = (x.numpy() - x.min().item()) / (x.max() - x.min()).item()
    return np.hstack([x, np.zeros((len(x), WIDTH - x.shape[1]))])


def test_the_released_spectrum_is_of_the_scaled_matrix_uncentred():
    z = padded(X)
    values = np.linalg.eigvalsh(z[:, :5].T @ z[:, :5] / len(z))[::-1]
    np.testing.assert_allclose(RELEASED.spectrum(X).numpy(), values, rtol=1e-9)
    assert STANDARD.spectrum(X)[0] < 0.9 * X.var(dim=0).sum() and not np.allclose(STANDARD.spectrum(X), values)


@pytest.mark.parametrize("components", [1, 3])
def test_the_released_entropy_is_that_of_a_mixture_in_2048_dimensions(components):
    mixture = GaussianMixture(components, covariance_type="diag", tol=5e-4, random_state=0).fit(padded(X))
    expected = -mixture.score(mixture.sample(10_000)[0])
    error = 3 * (WIDTH / 2 / 10_000) ** 0.5  # of the expected value: a dimension's log-density has variance 1/2
    assert RELEASED.entropy(X, components, seed=0) == pytest.approx(expected, abs=error)


def test_the_released_entropy_takes_2048_dimensions():
    with pytest.raises(InputError, match="at most 2,048 dimensions, these are 2,049"):
        RELEASED.entropy(torch.randn(3, 2049), 1, seed=0)
    with pytest.raises(InputError, match="constant: they have no range"):
        RELEASED.entropy(torch.ones(30, 4), 1, seed=0)


def test_dimensions_that_differ_are_compared_as_released_only():
    subjects = [Subject((name,), Path(name), "", torch.randn(9, d)) for name, d in (("a", 3), ("b", 4))]
    assert "Z has 3 or 4 dimensions" in STANDARD.incomparable(subjects, "Z")
    assert RELEASED.incomparable(subjects, "Z") == ""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_entropies_follow_the_scale_of_single_dimensions_only(protocol):
    entropy = PROTOCOLS[protocol].entropy
    assert entropy(7 * X - 30, 3, seed=0) == pytest.approx(entropy(X, 3, seed=0), abs=1e-3)
    assert abs(entropy(X * torch.tensor([1, 1, 1, 1, 9]), 3, seed=0) - entropy(X, 3, seed=0)) > 1


def model(name):
    """An untrained model whose BatchNorm has running statistics far from those of any batch."""
    config = parse_config(shipped(name))
    module = Pretrainer(config, num_classes=10, mean=[0.5] * 3, std=[0.5] * 3).eval().requires_grad_(False)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean += 5
    statistics = (10, [0.5] * 3, [0.5] * 3, None)
    return Pretrained(module.backbone, module.method, config, *statistics, Path("x"), None, module.classifier, (), None)


def images(n):
    pixels = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return MemorySet(pixels, torch.zeros(n, dtype=torch.int64), 10)


@pytest.mark.parametrize("name", ["cplearn", "barlow_twins", "gedi_nogen", "vicreg"])
def test_released_embeddings_use_the_statistics_of_each_batch(name):
    """Of Barlow Twins and GEDI they are the input of the last layer."""
    trained = model(name)
    found = released_parts(trained, images(100), torch.device("cpu"))
    projector, inputs = trained.method.projector, []
    if name in ("barlow_twins", "gedi_nogen"):
        last = [layer for layer in projector.modules() if isinstance(layer, torch.nn.Linear)][-1]
        last.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    trained.method.train()
    outputs = [trained.method.embed(batch) for batch in found["Z"].split(64)]
    assert torch.allclose(found["H"], torch.cat(inputs or outputs), atol=1e-6)
    trained.method.eval()
    assert not torch.allclose(torch.cat(outputs), trained.method.embed(found["Z"]), atol=0.1)
    with pytest.raises(InputError, match="images = 65: must be another number"):
        released_parts(trained, images(65), torch.device("cpu"))
