"""SimSiam with and without its stop-gradient."""

import pytest
import torch
from torch.nn import functional as F

from cplearn_solo.methods import Progress, Views, build_method


@pytest.mark.parametrize("stop", [True, False])
def test_gradients_with_and_without_stop_gradient(stop):
    torch.manual_seed(0)
    heads = {"proj_hidden_dim": 32, "proj_output_dim": 8, "pred_hidden_dim": 4}
    method = build_method("simsiam", 16, batch_size=64, method_kwargs={**heads, "stop_gradient": stop})
    feats = [torch.randn(64, 16, requires_grad=True) for _ in range(2)]
    views = Views(feats=feats, n_large=2, progress=Progress(0, 1, 0, 1))
    ours = torch.autograd.grad(method.loss(views)["loss"], feats)
    z = [method.projector(x) for x in feats]
    targets = [each.detach() if stop else each for each in z]
    similar = [F.cosine_similarity(method.predictor(z[i]), targets[1 - i]).mean() for i in range(2)]
    for found, expected in zip(ours, torch.autograd.grad(-sum(similar) / 2, feats)):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
