"""VICReg: invariance between views, variance of each dimension, no covariance between them (Bardes et al., ICLR 2022).

Projector, invariance and variance are lightly's; its covariance is not, because it removes the diagonal by a mask,
which makes a program wait for the GPU. As in the authors' code, the invariance is averaged over dimensions and the
variance over the two views; Eqs. 5 and 6 sum them.

    L = sim_loss_weight s(z, z') + var_loss_weight (v(z) + v(z')) / 2 + cov_loss_weight (c(z) + c(z'))

s is the mean squared difference, v = mean_j max(0, 1 - std_j), and c the sum of squared covariances of different
dimensions over f.
"""

from __future__ import annotations

from lightly.loss.vicreg_loss import invariance_loss, variance_loss
from lightly.models.modules.heads import VICRegProjectionHead
from torch import Tensor

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.methods.base import METHODS, Method, Views
from cplearn_solo.methods.remedy import raise_to


@METHODS.register("vicreg")
class VICReg(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the three-layer projector. ``sim_loss_weight``,
    ``var_loss_weight``, ``cov_loss_weight``: weights of the three terms; 0 switches a term off. Names and defaults as
    in solo-learn, whose variance term is twice as large.
    """

    advice = {
        "spread": (raise_to(25.0, "var_loss_weight", "too little keeps samples apart"),),
        "stable_rank": (raise_to(1.0, "cov_loss_weight", "too little decorrelates dimensions"),),
    }

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 2048,
        sim_loss_weight: float = 25.0,
        var_loss_weight: float = 25.0,
        cov_loss_weight: float = 1.0,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        self.projector = VICRegProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.weights = {"invariance": sim_loss_weight, "variance": var_loss_weight, "covariance": cov_loss_weight}
        weights = {"sim": sim_loss_weight, "var": var_loss_weight, "cov": cov_loss_weight}
        for term, weight in weights.items():
            require(weight >= 0, f"method_kwargs.{term}_loss_weight", weight, "at least 0")
        wanted = "above 0, as the weights of the other terms are 0"
        require(any(weights.values()), "method_kwargs.sim_loss_weight", sim_loss_weight, wanted)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Terms are logged before weighting; a term with weight 0 is logged, too, but gets no gradient."""
        z1, z2 = (gather(at_least_float32(self.projector(feats))) for feats in views.feats)
        with without_autocast(z1):
            terms = {
                "invariance": invariance_loss(z1, z2),
                "variance": (variance_loss(z1) + variance_loss(z2)) / 2,
                "covariance": covariance_loss(z1) + covariance_loss(z2),
            }
        return {"loss": sum(weight * terms[name] for name, weight in self.weights.items() if weight), **terms}


def covariance_loss(z: Tensor) -> Tensor:
    """Sum of the squared covariances of different dimensions of embeddings ``(n, f)``, divided by f (Eq. 4)."""
    z = z - z.mean(dim=0)
    covariance = z.T @ z / (len(z) - 1)
    return 2 * covariance.triu(diagonal=1).square().sum() / z.shape[1]
