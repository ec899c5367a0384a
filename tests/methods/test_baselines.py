"""Baselines against slow references: loops over samples in float64, written from the papers; values and gradients."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss
from lightly.loss.vicreg_loss import covariance_loss
from lightly.loss.wmse_loss import Whitening2d, norm_mse_loss
from torch.nn import functional as F

from cplearn_solo.dictionary import make_dictionary, temperature
from cplearn_solo.methods import Progress, Views, build_method, method_facts
from cplearn_solo.methods.queue import Queue
from cplearn_solo.methods.simclr import nt_xent
from cplearn_solo.methods.vicreg import covariance_loss as vicreg_covariance
from cplearn_solo.methods.wmse import whiten

N, D, F_ = 8, 12, 4
KWARGS = {
    "barlow_twins": {"proj_hidden_dim": 16, "proj_output_dim": F_, "lamb": 0.01, "scale_loss": 0.5},
    "byol": {"proj_hidden_dim": 16, "proj_output_dim": F_, "pred_hidden_dim": 8},
    "dino": {"proj_hidden_dim": 16, "proj_output_dim": F_, "num_prototypes": 6},
    "mocov2plus": {"proj_hidden_dim": 16, "proj_output_dim": F_, "queue_size": 16, "temperature": 0.3},
    "simclr": {"proj_hidden_dim": 16, "proj_output_dim": F_, "temperature": 0.3},
    "simsiam": {"proj_hidden_dim": 16, "proj_output_dim": F_, "pred_hidden_dim": 8},
    "swav": {"proj_hidden_dim": 16, "proj_output_dim": F_, "num_prototypes": 6, "queue_size": 0},
    "vicreg": {"proj_hidden_dim": 16, "proj_output_dim": F_, "sim_loss_weight": 20.0, "cov_loss_weight": 2.0},
    "wmse": {"proj_hidden_dim": 16, "proj_output_dim": F_, "whitening_size": N},
}


def dot(a, b):
    return (a * b).sum()


def cosine(a, b):
    return dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())


def unit(rows):
    return [row / dot(row, row).sqrt() for row in rows]


def softmax(scores, temperature):
    weights = [(s / temperature).exp() for s in scores]
    return [w / sum(weights) for w in weights]


def barlow_twins(method, views):
    """Eqs. 1 and 2; BatchNorm's eps of 1e-5 is lightly's."""
    z1, z2 = (method.projector(f) for f in views.feats)
    total = 0
    for i in range(F_):
        for j in range(F_):
            a, b = z1[:, i] - z1[:, i].mean(), z2[:, j] - z2[:, j].mean()
            c = dot(a, b) / N / ((dot(a, a) / N + 1e-5).sqrt() * (dot(b, b) / N + 1e-5).sqrt())
            total = total + ((1 - c) ** 2 if i == j else 0.01 * c**2)
    return 0.5 * total


def byol(method, views):
    """Eq. 2, both directions."""
    total = 0
    for student, target in ((0, 1), (1, 0)):
        p = method.predictor(method.projector(views.feats[student]))
        for i in range(N):
            total = total + (unit([p[i]])[0] - unit([views.teacher[target][i]])[0]).square().sum() / N
    return total


def dino(method, views):
    """Algorithm 1, with the centre of an earlier step."""
    student = [method.projector(f) for f in views.feats]
    total = 0
    for s, t in ((0, 1), (1, 0)):
        for i in range(N):
            targets = softmax(views.teacher[t][i] - method.criterion.center[0, 0], 0.07)
            predictions = softmax(student[s][i], 0.1)
            total = total - sum(q * p.log() for q, p in zip(targets, predictions)) / (2 * N)
    return total


def mocov2plus(method, views):
    """Eq. 1 of MoCo, both directions."""
    q = [unit(method.projector(f)) for f in views.feats]
    k = [unit(t) for t in views.teacher]
    total = 0
    for a, b in ((0, 1), (1, 0)):
        for i in range(N):
            scores = [dot(q[a][i], k[b][i]), *(dot(q[a][i], old) for old in method.queue.rows[b])]
            total = total - softmax(scores, 0.3)[0].log() / (2 * N)
    return total


def simclr(method, views):
    """Eq. 1, over all 2n embeddings."""
    z = [row for f in views.feats for row in unit(method.projector(f))]
    total = 0
    for i in range(2 * N):
        others = [j for j in range(2 * N) if j != i]
        probabilities = softmax([dot(z[i], z[j]) for j in others], 0.3)
        total = total - probabilities[others.index((i + N) % (2 * N))].log() / (2 * N)
    return total


def simsiam(method, views):
    """Eqs. 1 to 4."""
    z = [method.projector(f) for f in views.feats]
    p = [method.predictor(zi) for zi in z]
    return -sum(cosine(p[a][i], z[b][i].detach()) for a, b in ((0, 1), (1, 0)) for i in range(N)) / (2 * N)


def swav(method, views, queues=((), ())):
    """Eq. 2, codes by three rounds of Sinkhorn-Knopp."""
    z = [unit(method.projector(f)) for f in views.feats]
    c = method.prototypes.weight
    total = 0
    for a, b in ((0, 1), (1, 0)):
        rows = [row.detach() for row in [*z[a], *queues[a]]]
        q = torch.stack([torch.stack([(dot(row, ck.detach()) / 0.05).exp() for ck in c]) for row in rows])
        for _ in range(3):
            for j in range(len(c)):
                q[:, j] /= q[:, j].sum() * len(c)
            for i in range(len(rows)):
                q[i] /= q[i].sum() * len(rows)
        for i in range(N):
            predictions = softmax([dot(z[b][i], ck) for ck in c], 0.1)
            total = total - sum(len(rows) * q[i, j] * p.log() for j, p in enumerate(predictions)) / (2 * N)
    return total


def vicreg(method, views):
    """Eqs. 1 to 5, invariance and variance averaged as in the authors' code."""
    z = [method.projector(f) for f in views.feats]
    invariance = sum((z[0][i] - z[1][i]).square().sum() for i in range(N)) / (N * F_)
    variance = covariance = 0
    for zi in z:
        centred = zi - sum(zi) / N
        c = sum(torch.outer(row, row) for row in centred) / (N - 1)
        variance = variance + sum(F.relu(1 - (c[j, j] + 1e-4).sqrt()) for j in range(F_)) / (2 * F_)
        covariance = covariance + sum(c[i, j] ** 2 for i in range(F_) for j in range(F_) if i != j) / F_
    return 20 * invariance + 25 * variance + 2 * covariance


def wmse(method, views):
    """Eqs. 3 to 6 with the Cholesky whitening of Section 3.2."""
    white = []
    for f in views.feats:
        z = method.projector(f)
        centred = z - z.mean(0)
        factor = torch.linalg.cholesky(sum(torch.outer(row, row) for row in centred) / (N - 1))
        white.append([torch.linalg.solve(factor, row) for row in centred])
    return sum((a - b).square().sum() for a, b in zip(unit(white[0]), unit(white[1]))) / N


REFERENCES = {f.__name__: f for f in (barlow_twins, byol, dino, mocov2plus, simclr, simsiam, swav, vicreg, wmse)}


def make(name, **kwargs):
    torch.manual_seed(0)
    method = build_method(name, D, batch_size=N, method_kwargs={**KWARGS[name], **kwargs}).double()
    method.before_step(Progress(0, 1, 0, 1))
    return method


def given(method, seed=1, epoch=0):
    generator = torch.Generator().manual_seed(seed)
    feats = [torch.randn(N, D, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    width = method.codes_total or F_
    teacher = [torch.randn(N, width, generator=generator, dtype=torch.float64) for _ in range(2)]
    return Views(feats, 2, Progress(epoch, 5, epoch, 5), teacher=teacher if method.teacher else None)


def gradients(loss, views, method):
    inputs = [*views.feats, *(p for p in method.parameters() if p.requires_grad)]
    return torch.autograd.grad(loss, inputs, allow_unused=True)


def assert_equal(method, views, reference):
    """``reference`` is computed first: a loss moves queues and centres on."""
    expected = reference(method, views)
    wanted = gradients(expected, views, method)
    loss = method.loss(views)["loss"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for ours, theirs in zip(gradients(loss, views, method), wanted, strict=True):
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", REFERENCES)
def test_values_and_gradients_are_the_papers(name):
    method = make(name)
    if name == "dino":
        method.loss(given(method, seed=2))
        assert method.criterion.center.abs().sum() > 0
    assert_equal(method, given(method), REFERENCES[name])


def test_a_queue_goes_on_with_another_batch():
    queue = Queue(1, 8, 2, batch_size=2)
    rows = torch.arange(16.0).view(8, 2)
    for part in (rows[:2], rows[2:4], rows[4:6], rows[4:8], rows[:4]):
        queue.push([part])
    assert torch.equal(queue.rows[0, :6], torch.cat([rows[6:8], rows[:4]])) and queue.seen == 14


def test_swav_shares_codes_with_its_queue_once_that_is_full():
    method = make("swav", queue_size=2 * N, epoch_queue_starts=0)
    pushed = [given(method, seed=seed) for seed in (2, 3)]
    for views in pushed:
        assert_equal(method, views, swav)  # not full yet
    queues = [torch.cat([method.embed(views.feats[i]).detach() for views in pushed]) for i in range(2)]
    torch.testing.assert_close(method.queue.rows, torch.stack(queues))
    assert_equal(method, given(method), lambda *args: swav(*args, queues=queues))


def test_swav_and_dino_freeze_their_prototypes_at_first():
    for name, weights in (("swav", "prototypes"), ("dino", "projector.prototypes")):
        method = make(name)
        for epoch, moves in ((0, False), (1, True)):
            views = given(method, epoch=epoch)
            method.zero_grad()
            method.loss(views)["loss"].backward()
            method.after_backward(views.progress)
            grads = [p.grad for p in method.get_submodule(weights).parameters() if p.requires_grad]
            assert all((grad is not None) == moves for grad in grads)


def test_dino_teacher_temperature_warms_up():
    method = make("dino", warmup_teacher_temperature_epochs=5, warmup_teacher_temperature=0.03)
    temperatures = [method._teacher_temperature(epoch) for epoch in range(7)]
    assert temperatures == pytest.approx([0.03, 0.04, 0.05, 0.06, 0.07, 0.07, 0.07])


def test_wmse_whitens_blocks_of_the_batch():
    """The loss of two blocks is the mean of their losses, for the permutation drawn."""
    method = make("wmse", proj_output_dim=2, whitening_size=4)
    views = given(method)
    torch.manual_seed(5)
    loss = method.loss(views)["loss"].item()
    torch.manual_seed(5)
    seed = torch.randint(2**62, (1,)).item()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(seed))
    z = [method.projector(f) for f in views.feats]
    losses = []
    for block in (order[:4], order[4:]):
        white = []
        for zi in z:
            centred = zi[block] - zi[block].mean(0)
            white.append(torch.linalg.solve(torch.linalg.cholesky(centred.T @ centred / 3), centred.T).T)
        losses.append(2 - 2 * F.cosine_similarity(*white).mean().item())
    assert loss == pytest.approx(sum(losses) / 2, rel=1e-9)


def test_vicreg_terms_can_be_switched_off():
    views = given(make("vicreg"))
    for term in ("sim", "var", "cov"):
        method = make("vicreg", **{f"{term}_loss_weight": 0.0})
        parts = method.loss(views)
        weights = {"invariance": 20.0, "variance": 25.0, "covariance": 2.0}
        weights[{"sim": "invariance", "var": "variance", "cov": "covariance"}[term]] = 0.0
        assert parts["loss"].item() == pytest.approx(sum(w * parts[k].item() for k, w in weights.items()))


def test_queue_is_first_in_first_out():
    method = make("mocov2plus")
    batches = [given(method, seed=seed) for seed in range(3)]
    for views in batches:
        method.loss(views)
    kept = [F.normalize(torch.cat([batches[2].teacher[v], batches[1].teacher[v]]), dim=1) for v in range(2)]
    torch.testing.assert_close(method.queue.rows, torch.stack(kept))
    assert method.queue.full and math.isclose(method.queue.rows.norm(dim=2).mean().item(), 1, rel_tol=1e-9)


def test_self_classifier_on_cplearns_projector():
    """Its loss of logits tanh(BN(Linear(Z))) W / tau with frozen codes W, at the released scale."""
    f, c = 16, 12
    kwargs = {"projector": "cplearn", "proj_hidden_dim": f, "num_prototypes": c, "tau_row": 3.0, "tau_col": 2.0}
    torch.manual_seed(0)
    method = build_method("self_classifier", D, batch_size=N, method_kwargs=kwargs).double()
    w, views = make_dictionary(f, c).double(), given(method)
    logits = []
    for z in views.feats:
        h = F.batch_norm(F.linear(z, *method.projector.projector[0].parameters()), None, None, training=True)
        logits.append(h.tanh() @ w / temperature(f, N, c, 1e-8))
    expected = 0
    for one, other in (logits, logits[::-1]):
        target = torch.softmax(one / 2.0, dim=0)
        target = target / target.sum(dim=1, keepdim=True)
        prediction = torch.softmax(other / 3.0, dim=1)
        prediction = N / c * prediction / prediction.sum(dim=0)
        expected = expected - (target * (prediction + 1e-8).log()).sum() / (2 * N)
    loss = method.loss(views)["loss"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    assert [tuple(p.shape) for p in method.parameters()] == [(f, D), (f,), (f,), (f,)]  # no code is learned
    assert method.codes_total == c and torch.equal(method.assign(views.feats[0]), method(views.feats[0]).argmax(1))
    assert method.dictionary is not None and method.embed(views.feats[0]).shape == (N, f)


def test_defaults_are_solo_learns():
    """As its methods' ``add_and_assert_specific_cfg`` fills them in (1.0.6)."""
    theirs = {
        "barlow_twins": {"lamb": 0.0051, "scale_loss": 0.024},
        "dino": {
            "freeze_last_layer": 1,
            "norm_last_layer": True,
            "use_bn_in_head": False,
            "student_temperature": 0.1,
            "teacher_temperature": 0.07,
            "warmup_teacher_temperature": 0.04,
            "warmup_teacher_temperature_epochs": 0,
        },
        "swav": {
            "queue_size": 65_536,
            "num_prototypes": 3000,
            "sk_epsilon": 0.05,
            "sk_iters": 3,
            "freeze_prototypes_epochs": 1,
            "epoch_queue_starts": 15,
        },
        "vicreg": {"sim_loss_weight": 25.0, "var_loss_weight": 25.0, "cov_loss_weight": 1.0},
        "wmse": {"whitening_iters": 1, "whitening_size": 256, "whitening_eps": 0.0},
    }
    for name, defaults in theirs.items():
        ours = method_facts(name).defaults
        assert {key: ours[key] for key in defaults} == defaults, name


# --- what is written out here and not lightly's, since a GPU would have to be waited for --------------------------


def lightlys(name, z1, z2):
    if name == "simclr":
        return NTXentLoss(temperature=0.3)(z1, z2)
    if name == "vicreg":
        return covariance_loss(z1)
    whitening = Whitening2d(F_, track_running_stats=False, eps=0.1)
    return norm_mse_loss(whitening(z1), whitening(z2))


def ours(name, z1, z2):
    if name == "simclr":
        return nt_xent(z1, z2, temperature=0.3)
    if name == "vicreg":
        return vicreg_covariance(z1)
    x, y = (whiten(z[None], eps=0.1)[0] for z in (z1, z2))
    return 2 - 2 * F.cosine_similarity(x, y, dim=1).mean()


@pytest.mark.parametrize("name", ["simclr", "vicreg", "wmse"])
def test_losses_and_gradients_are_lightlys(name):
    torch.manual_seed(0)
    views = torch.randn(2, 32, F_, requires_grad=True)
    (loss, gradient), (theirs, expected) = (
        (found.detach(), torch.autograd.grad(found, views)[0]) for found in (f(name, *views) for f in (ours, lightlys))
    )
    torch.testing.assert_close(loss, theirs, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-6 * expected.abs().max().item())


def test_whitened_blocks_have_the_unit_covariance():
    white = whiten(
        torch.randn(3, 16, F_, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.tensor([1e4, 1, 1, 1e-3]))
    )
    torch.testing.assert_close(white.mT @ white / 15, torch.eye(F_).expand(3, -1, -1), rtol=0, atol=1e-5)
