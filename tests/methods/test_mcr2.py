"""MCR2: what its forms add up to, and what is refused."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import coding_rate, eigen_atoms, partition_rate, variational_rate
from cplearn_solo.methods import Progress, Views, build_method
from cplearn_solo.methods.mcr2 import MISFIT_WEIGHT
from cplearn_solo.testing import check_method

N, D, K = 16, 24, 5
HEADS = {"proj_hidden_dim": 32, "proj_output_dim": 8}
CLUSTERS = HEADS | {"num_clusters": K}


def make(**kwargs):
    torch.manual_seed(0)
    return build_method("mcr2", D, batch_size=N, method_kwargs=kwargs).double()


def views(crops=2):
    generator = torch.Generator().manual_seed(0)
    feats = [torch.randn(N, D, generator=generator).double() for _ in range(crops)]
    return Views(feats, 2, Progress(0, 1, 1, 200))


@pytest.mark.parametrize("crops", [2, 3])
def test_views_of_an_image_are_a_class(crops):
    method, given = make(**HEADS, eps=2.0), views(crops)
    z = torch.cat([F.normalize(method.projector(feats), dim=1) for feats in given.feats])
    images = torch.eye(N, dtype=torch.float64).repeat(crops, 1)
    expected = partition_rate(z, images, eps=2.0) - coding_rate(z, eps=2.0)
    assert method.loss(given)["loss"].item() == pytest.approx(expected.item(), rel=1e-12)
    assert method.codes_total is None and method.assign(given.feats[0]) is None


@pytest.mark.parametrize("gamma", [0.5, 20.0])
def test_embeddings_that_are_all_alike_have_a_rate_at_the_least_eps(gamma):
    least = 4 * max(1.0, gamma) * 128 * torch.finfo(torch.float32).eps
    method = make(eps=1.001 * least, gamma=gamma, proj_hidden_dim=32).float()
    given = Views([torch.ones(N, D) for _ in range(2)], 2, Progress(0, 1, 1, 200))
    method.loss(given)["loss"].backward()
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters())


def test_gamma_weighs_the_rate_of_all_as_the_authors_do():
    """Their gam1 = 20 stands before Z^T Z, and gam2 = 1 / 20 before the logarithm."""
    method, given = make(**HEADS, eps=2.0, gamma=20.0), views()
    z = torch.cat([F.normalize(method.projector(feats), dim=1) for feats in given.feats])
    n, d = z.shape
    expansion = torch.logdet(torch.eye(d).double() + 20 * d / (n * 2.0) * z.T @ z) / 2 / 20
    expected = partition_rate(z, torch.eye(N).double().repeat(2, 1), eps=2.0) - expansion
    assert method.loss(given)["loss"].item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("form", [{}, {"rate": "variational", "atoms": 3}])
def test_clusters_are_classes_too(form):
    method, given = make(**CLUSTERS, **form), views()
    z = [F.normalize(method.projector(feats), dim=1) for feats in given.feats]
    memberships = sum(torch.softmax(method.head(view), dim=1) for view in z) / 2
    every, repeated = torch.cat(z), torch.cat([memberships, memberships])
    if form:
        rate, misfit = variational_rate(every, repeated, method.atoms, method.log_amounts.exp(), eps=0.5)
        clusters = rate + MISFIT_WEIGHT * misfit
    else:
        clusters = partition_rate(every, repeated, eps=0.5)
    images = torch.eye(N, dtype=torch.float64).repeat(2, 1)
    expected = partition_rate(every, images, eps=0.5) + clusters - 2 * coding_rate(every, eps=0.5)
    parts = method.loss(given)
    assert parts["loss"].item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.equal(parts["codes"], memberships.argmax(1)) and method.codes_total == K
    assert torch.equal(method.assign(given.feats[0]), method.head(z[0]).argmax(1))


def test_atoms_are_set_to_the_optimal_ones():
    """With as many as there are dimensions the variational rate is the exact one then."""
    method, given = make(**CLUSTERS, rate="variational", atoms=8), views()
    parts = method.loss(replace(given, progress=Progress(1, 2, 100, 200)))
    exact = make(**CLUSTERS).loss(given)
    assert parts["clusters"].item() == pytest.approx(exact["clusters"].item(), rel=1e-4)
    assert parts["misfit"].item() == pytest.approx(0, abs=1e-6)


def test_the_variational_rate_takes_batches_with_many_images_a_cluster():
    """Ten groups of images in four directions each: by the exact rate they cost less than one cluster, whatever the
    batch. In variational form, with the parameters that are right for all images, one cluster costs less in a small
    batch, whose covariances differ from those of all images."""
    generator, d, k = torch.Generator().manual_seed(0), 128, 10
    directions = torch.linalg.qr(torch.randn(k, d, 4, generator=generator)).Q

    def images(n):
        groups = torch.arange(n) % k
        z = torch.einsum("ndr,nr->nd", directions[groups], torch.randn(n, 4, generator=generator))
        clusters = torch.eye(k)
        return F.normalize(z, dim=1), {"groups": clusters[groups], "one": clusters[0].expand(n, k)}

    z, memberships = images(5000)
    learned = {name: eigen_atoms(z, given, 16) for name, given in memberships.items()}

    def gain(n, rate):
        """What the groups save in nats, mean of three batches."""
        total = 0.0
        for z, memberships in (images(n) for _ in range(3)):
            costs = {name: rate(z, given, learned[name]) for name, given in memberships.items()}
            total += (costs["one"] - costs["groups"]).item() / 3
        return total

    def exact(z, memberships, _):
        return partition_rate(z, memberships, eps=32.0)

    def variational(z, memberships, parameters):
        found = variational_rate(z, memberships, *parameters, eps=32.0)
        return found.rate + MISFIT_WEIGHT * found.misfit

    assert gain(64, exact) > 0.3 and gain(4096, exact) > 0.3
    assert gain(64, variational) < -5 and gain(4096, variational) > 0


def test_atoms_are_set_once_in_a_step_whose_gradients_accumulate():
    """Those of its first batches would be of atoms that are there no more."""
    method, first = make(**CLUSTERS, rate="variational", atoms=3), replace(views(), progress=Progress(0, 1, 100, 200))
    method.loss(first)
    atoms = method.atoms.detach().clone()
    method.loss(replace(first, feats=[x.square() for x in first.feats]))
    assert torch.equal(method.atoms, atoms)
    method.loss(replace(first, feats=[2 - x for x in first.feats], progress=Progress(0, 1, 200, 300)))
    assert not torch.equal(method.atoms, atoms)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kwargs", [CLUSTERS, CLUSTERS | {"rate": "variational", "atoms": 4}], ids=["exact", "variational"]
)
def test_promises_with_clusters(kwargs):
    check_method("mcr2", kwargs)


@pytest.mark.parametrize(
    "kwargs, words",
    [
        ({"eps": 0.0}, "method_kwargs.eps = 0.0: must be at least 6.1e-05: beside gamma f / eps"),
        ({"eps": 1e-3, "gamma": 20.0}, "method_kwargs.eps = 0.001: must be at least 0.0012"),
        ({"gamma": 0.0}, "method_kwargs.gamma = 0.0: must be above 0"),
        ({"num_clusters": 1}, "method_kwargs.num_clusters = 1: must be at least 2"),
        (
            {"rate": "variatonal", "num_clusters": 3},
            "unknown method_kwargs.rate 'variatonal': did you mean 'variational'",
        ),
        ({"rate": "variational"}, "method_kwargs.rate = 'variational': must be exact without num_clusters"),
        ({"num_clusters": 3, "rate": "variational", "atoms": 0}, "method_kwargs.atoms = 0: must be from 1 to 128"),
    ],
)
def test_bad_keywords(kwargs, words):
    with pytest.raises(InputError, match=words):
        make(**kwargs)
