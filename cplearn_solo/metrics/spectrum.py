"""How many directions features spread over."""

from __future__ import annotations

from typing import Any

import torch

from cplearn_solo.metrics.checks import check_features


@torch.no_grad()
def effective_rank(features: Any) -> float:
    """Effective rank of ``features`` (n, d) after centring, from 0 to min(n - 1, d) (Roy & Vetterli, 2007).

    exp(H(p)) with p_i = s_i / sum(s) for the singular values s: r equal directions give r. Constant features
    have no direction at all and give 0.0. Computed in float64.
    """
    features = check_features("features", features).double()
    singular = torch.linalg.svdvals(features - features.mean(dim=0))
    # Centring leaves rounding noise instead of zeros, so constant features would seem to have directions.
    noise = max(features.shape) * torch.finfo(torch.float64).eps * features.norm()
    singular = singular[singular > noise]
    if not len(singular):
        return 0.0
    return float(torch.special.entr(singular / singular.sum()).sum().exp())
