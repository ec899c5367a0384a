"""CPLearn with single changes that were tried to get more information into its codes.

Two views of an image get the assignments p and p' to c frozen codes; loss and names are CPLearn's (Eqs. 1, 2).
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.dictionary import pack_dictionary, temperature
from cplearn_solo.losses import assignments
from cplearn_solo.methods import METHODS, Views
from cplearn_solo.methods.cplearn import CPLearn


@METHODS.register("cplearn_variant")
class CPLearnVariant(CPLearn):
    """Each argument is one change; with the defaults, it is CPLearn with two views.

    ``layers``: number of linear layers of the projector, with BatchNorm and ReLU between, of ``hidden`` dimensions.
    ``normalised``: BatchNorm without weights before the projector. ``heads``: number of projectors, whose losses are
    averaged; codes and embeddings are those of the first. ``memory``: number of batches over which the mean assignment
    is taken; the latest has the gradient. ``sharpen``: temperature that sharpens the targets, which then have no
    gradient. ``last_eps``: eps changes to this value over training, linearly in its logarithm. ``redraw``: a new
    dictionary each epoch.
    """

    multicrop = False
    capturable = False

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 128,
        proj_output_dim: int = 1024,
        beta: float = 1.0,
        eps: float = 1e-8,
        activation: Literal["l2"] = "l2",
        layers: int = 1,
        hidden: int = 256,
        normalised: bool = False,
        heads: int = 1,
        memory: int = 1,
        sharpen: float | None = None,
        last_eps: float | None = None,
        redraw: bool = False,
    ) -> None:
        f, c = proj_hidden_dim, proj_output_dim
        super().__init__(
            features_dim,
            batch_size=batch_size,
            proj_hidden_dim=f,
            proj_output_dim=c,
            beta=beta,
            eps=eps,
            impl="reference",
        )
        for key, value in {"layers": layers, "hidden": hidden, "heads": heads, "memory": memory}.items():
            require(value >= 1, f"method_kwargs.{key}", value, "at least 1")
        require(sharpen is None or sharpen > 0, "method_kwargs.sharpen", sharpen, "above 0")
        self.heads, self.sharpen, self.last_eps, self.redraw = heads, sharpen, last_eps, redraw
        parts: list[nn.Module] = [nn.BatchNorm1d(features_dim, affine=False)] if normalised else []
        width = features_dim
        for _ in range(layers - 1):
            parts += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
            width = hidden
        self.projector = nn.Sequential(*parts, nn.Linear(width, f * heads), nn.BatchNorm1d(f * heads))
        self.register_buffer("past", torch.full((memory - 1, 2, heads, c), 1 / c))  # mean assignments of both views
        self.epoch, self.share = 0, 0.0  # the current epoch, and the share of training that is done

    @property
    def temperature(self) -> float:
        """tau by the current eps."""
        if self.last_eps is None:
            return super().temperature
        eps = self.eps ** (1 - self.share) * self.last_eps**self.share
        return temperature(self.spec["f"], self.batch_size, self.codes_total, eps)

    def loss(self, views: Views) -> dict[str, Tensor]:
        n, c, progress = self.batch_size, self.codes_total, views.progress
        if self.redraw and progress.epoch != self.epoch:
            self._draw(progress.epoch)
        self.share = progress.step / progress.steps
        tau = self.temperature
        embeddings = [self._of_heads(feats) / math.sqrt(n) for feats in views.feats]
        with without_autocast(embeddings[0]):
            w = self.dictionary.tile(0, c).to(embeddings[0])
            log_p = torch.stack([F.log_softmax(h @ w / tau, dim=2) for h in embeddings])  # (2, heads, n, c)
            invariance = -(self._targets(log_p) * log_p.flip(0)).sum(dim=3).mean()
            prior = self._prior_term(log_p.exp().mean(dim=2))
        found = assignments(log_p[0, 0].detach())
        return {
            "loss": self.beta * invariance + prior,
            "invariance": invariance,
            "prior": prior,
            "assignment_entropy": found.entropy,
            "mean_entropy": found.mean_entropy,
            "codes": found.codes,
        }

    def get_extra_state(self) -> dict[str, Any]:
        return {**super().get_extra_state(), "epoch": self.epoch, "share": self.share}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self._draw(state["epoch"])
        self.share = state.get("share", 1.0)  # earlier checkpoints lack it; most are of finished runs

    def _draw(self, epoch: int) -> None:
        self.epoch, spec = epoch, self.spec
        self.packed_dictionary.copy_(pack_dictionary(spec["f"], spec["c"], seed=spec["seed"] + epoch))

    def _embed(self, feats: Tensor, root_n: float) -> Tensor:
        return self._of_heads(feats)[0] / root_n

    def _of_heads(self, feats: Tensor) -> Tensor:
        """Embeddings of all heads, times sqrt(n): ``(heads, n, f)``."""
        h = at_least_float32(self.projector(feats)).unflatten(1, (self.heads, -1)).transpose(0, 1)
        return math.sqrt(h.shape[2]) * F.normalize(h, dim=2)

    def _targets(self, log_p: Tensor) -> Tensor:
        return log_p.exp() if self.sharpen is None else F.softmax(log_p.detach() / self.sharpen, dim=3)

    def _prior_term(self, mean: Tensor) -> Tensor:
        """KL(m || 1/c), averaged over views and heads; m is the average of ``mean`` ``(2, heads, c)`` and past means.

        The gradient is taken as if m came from this batch alone.
        """
        over_time = torch.cat([self.past, mean.detach()[None]]).mean(dim=0)
        if len(self.past):
            self.past = torch.cat([self.past[1:], mean.detach()[None]])
        m = mean + (over_time - mean).detach()
        return math.log(mean.shape[2]) - torch.special.entr(m).sum(dim=2).mean()
