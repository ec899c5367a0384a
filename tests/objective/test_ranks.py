"""Two and four gloo ranks, each with its samples, against one process with all of them."""

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing import spawn

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, pack_dictionary
from cplearn_solo.losses import cplearn_loss
from cplearn_solo.methods import Progress, Views, build_method
from cplearn_solo.objective import PackedDictionary, objective

pytestmark = pytest.mark.distributed

N, F, C, TAU, BETA = 3, 10, 40, 0.7, 0.8
CASES = [
    {"dictionary_parallel": parallel, "global_prior": everyone, "prior_loss": prior_loss}
    for parallel, everyone in ((True, False), (False, True), (True, True))
    for prior_loss in ("reverse", "forward")
]


def embeddings(ranks):
    """Two views of all samples."""
    return list(torch.randn(2, ranks * N, F, generator=torch.Generator().manual_seed(3), dtype=torch.float64))


def prior():
    return torch.softmax(torch.arange(C, dtype=torch.float64) / 9, 0)


def on_one(ranks, *, global_prior, prior_loss):
    """The mean over ranks of the plain loss; with ``global_prior`` the loss of all samples together."""
    views = [h.requires_grad_() for h in embeddings(ranks)]
    w = make_dictionary(F, C).double()
    shares = [views] if global_prior else [[h[k * N : (k + 1) * N] for h in views] for k in range(ranks)]
    losses = [
        cplearn_loss(h1 @ w / TAU, h2 @ w / TAU, beta=BETA, prior=prior(), prior_loss=prior_loss) for h1, h2 in shares
    ]
    loss, invariance, matching = (torch.stack(part).mean() for part in zip(*losses))
    grads, logits = torch.stack(torch.autograd.grad(loss, views)), (views[0] @ w).detach()
    return [loss, invariance, matching], grads, logits.argmax(1), torch.softmax(logits / TAU, 1).mean(0)


def method_loss(rows, **kwargs):
    """CPLearn's loss of some rows of features; the same weights each time."""
    torch.manual_seed(0)
    kwargs |= {"proj_hidden_dim": F, "proj_output_dim": C}
    method = build_method("cplearn", 5, batch_size=N, method_kwargs=kwargs)
    feats = torch.randn(2, 4 * N, 5, generator=torch.Generator().manual_seed(1))
    return method.loss(Views([view[rows] for view in feats], 2, Progress(0, 1, 0, 1)))["loss"].detach()


def work(rank, ranks, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=ranks)
    dictionary = PackedDictionary(pack_dictionary(F, C), F)
    found = []
    for case in CASES:
        views = [h[rank * N : (rank + 1) * N].clone().requires_grad_() for h in embeddings(ranks)]
        parts = objective(views, dictionary, temperature=TAU, beta=BETA, prior=prior(), **case)
        grads = torch.stack(torch.autograd.grad(parts.loss, views))
        found.append((torch.stack(parts[:5]).detach(), grads, parts.codes, parts.mean_assignment))
    try:
        objective(views, dictionary.columns(0, C - 1), temperature=TAU, beta=BETA, dictionary_parallel=True)
    except InputError as error:
        found.append(str(error))
    found.append(method_loss(slice(rank * N, (rank + 1) * N), dictionary_parallel=True))
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_together_equal_one_process(tmp_path, ranks):
    spawn(work, (ranks, tmp_path), nprocs=ranks)  # which raises where one of them fails
    *results, refused, losses = zip(*(torch.load(tmp_path / f"{rank}.pt") for rank in range(ranks)))
    assert set(refused) == {
        f"c = {C - 1}: must be divisible by {ranks}, the number of processes, for dictionary_parallel"
    }
    plain = [method_loss(slice(rank * N, (rank + 1) * N)) for rank in range(ranks)]
    torch.testing.assert_close(torch.stack(losses), torch.stack(plain).mean().expand(ranks))
    for case, by_rank in zip(CASES, results):
        parts, grads, codes, means = zip(*by_rank)
        rest = {key: value for key, value in case.items() if key != "dictionary_parallel"}
        expected, expected_grads, expected_codes, expected_mean = on_one(ranks, **rest)
        torch.testing.assert_close(torch.stack(parts).mean(0)[:3], torch.stack(expected), msg=str(case))
        # data-parallel training averages gradients over ranks
        torch.testing.assert_close(torch.cat(grads, dim=1) / ranks, expected_grads, msg=str(case))
        assert torch.equal(torch.cat(codes), expected_codes)
        mean = torch.cat(means) if case["dictionary_parallel"] else torch.stack(means).mean(0)
        torch.testing.assert_close(mean, expected_mean, msg=str(case))
