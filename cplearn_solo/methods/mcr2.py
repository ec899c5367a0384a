"""MCR2: embeddings take up much room together and little within a class (Yu et al., NeurIPS 2020).

The views of an image form a class. With ``num_clusters``, the clusters of a head with soft memberships are classes,
too. Unit embeddings Z ``(n, f)`` come from SimCLR's projector, which is lightly's.

    L = R_c(Z | views) - R(Z) [+ R_c(Z | clusters) - R(Z)],   R(Z) = 1/(2 gamma) log det(I + gamma f / (n eps) Z^T Z)

R_c is the mean rate of the classes' embeddings, each coded by itself.
"""

from __future__ import annotations

from typing import Literal

import torch
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses import coding_rate, eigen_atoms, partition_rate, variational_rate, views_rate
from cplearn_solo.methods.base import METHODS, Method, Views
from cplearn_solo.methods.remedy import Keywords, Remedy

# With a smaller weight, atoms fit the covariances less well in exchange for a smaller rate. With a larger weight,
# chance differences between the covariances of a batch and those of all images cost more. They are (1 - tr C_j^2) / n_j
# on average, so k clusters cost about k times as much as one.
MISFIT_WEIGHT = 100
LATCH = 100  # steps after which the atoms are set to the optimal ones of a batch
LEAST_AMOUNT = 1e-6  # whose logarithm can still be learned


def _exact(given: Keywords) -> str | None:
    return "exact" if given["rate"] == "variational" else None


EXACT = Remedy("rate", _exact, "with few images per cluster, a single cluster has the smallest misfit")


@METHODS.register("mcr2")
class MCR2(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the two-layer projector. ``eps``: squared distortion of the
    code. ``gamma``: 1 in the paper's definition, 20 in the authors' runs without labels (MCR2-CTRL). ``num_clusters``:
    k, the number of clusters to learn; ``null`` for none. ``rate``: rate of the clusters, ``exact`` or ``variational``
    (Baek et al., CVPR 2022). The variational rate also learns ``atoms`` directions per cluster, which all clusters
    share, and sets them to the optimal ones of a batch every 100 steps; it needs batches with hundreds of images per
    cluster.
    """

    multicrop = True
    advice = {"code_use": (EXACT,)}

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 128,
        eps: float = 0.5,
        gamma: float = 1.0,
        num_clusters: int | None = None,
        rate: Literal["exact", "variational"] = "exact",
        atoms: int = 16,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        require(gamma > 0, "method_kwargs.gamma", gamma, "above 0")
        least = 4 * max(1.0, gamma) * proj_output_dim * torch.finfo(torch.float32).eps
        wanted = f"at least {least:.2g}: beside gamma f / eps of a smaller one float32 has no room for I"
        require(eps >= least, "method_kwargs.eps", eps, wanted)
        require(num_clusters is None or num_clusters >= 2, "method_kwargs.num_clusters", num_clusters, "at least 2")
        possible = rate == "exact" or num_clusters is not None
        require(possible, "method_kwargs.rate", rate, "exact without num_clusters, as the rate of views is cheap")
        possible = rate == "exact" or 1 <= atoms <= proj_output_dim
        require(possible, "method_kwargs.atoms", atoms, f"from 1 to {proj_output_dim}, the proj_output_dim")
        self.projector = SimCLRProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.head = nn.Linear(proj_output_dim, num_clusters) if num_clusters else None
        self.num_clusters, self.eps, self.gamma = num_clusters, eps, gamma
        self.atoms = self.log_amounts = None
        self._latched = -1  # the last step at which the atoms were set
        if num_clusters and rate == "variational":
            self.atoms = nn.Parameter(torch.randn(num_clusters * atoms, proj_output_dim))
            self.log_amounts = nn.Parameter(torch.zeros(num_clusters, num_clusters * atoms))

    @property
    def codes_total(self) -> int | None:
        return self.num_clusters

    def loss(self, views: Views) -> dict[str, Tensor]:
        """R_c of views minus R, both in nats per embedding; with clusters, their R_c minus R is added."""
        z = torch.stack([gather(self.embed(feats)) for feats in views.feats])
        with without_autocast(z):
            every = z.flatten(0, 1)
            expansion = coding_rate(every, eps=self.eps / self.gamma) / self.gamma
            parts = {"expansion": expansion, "views": views_rate(z, eps=self.eps)}
            if self.head is None:
                return {"loss": parts["views"] - parts["expansion"], **parts}
            memberships = self.head(z).softmax(dim=2).mean(dim=0)
            repeated = memberships.repeat(len(z), 1)
            if self.atoms is None:
                parts["clusters"] = partition_rate(every, repeated, eps=self.eps)
            else:
                step = views.progress.step
                if step % LATCH == 0 and step != self._latched:  # once, also if gradients of several batches accumulate
                    self._latched = step
                    self._latch(every, repeated)
                found = variational_rate(every, repeated, self.atoms, self.log_amounts.exp(), eps=self.eps)
                parts |= {"clusters": found.rate, "misfit": found.misfit}
            loss = parts["views"] + parts["clusters"] - 2 * parts["expansion"] + MISFIT_WEIGHT * parts.get("misfit", 0)
        return {"loss": loss, **parts, "codes": memberships.argmax(dim=1)}

    @torch.no_grad()
    def _latch(self, z: Tensor, memberships: Tensor) -> None:
        clusters = memberships.shape[1]
        atoms, amounts = eigen_atoms(z, memberships, len(self.atoms) // clusters)
        self.atoms.copy_(atoms)
        self.log_amounts.copy_(amounts.clamp_min(LEAST_AMOUNT).log())

    def embed(self, feats: Tensor) -> Tensor:
        return F.normalize(at_least_float32(self.projector(feats)), dim=1)

    def forward(self, feats: Tensor) -> Tensor:
        """Scores of clusters ``(n, k)``; without clusters, embeddings ``(n, f)``."""
        z = self.embed(feats)
        return z if self.head is None else self.head(z)
