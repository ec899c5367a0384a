"""t-SNE with one setting for every picture of this project."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from cplearn_solo.core.errors import InputError

MIN_POINTS = 10
PRINCIPAL = 50  # principal components that t-SNE starts from, as its authors recommend
PERPLEXITY = 30


def tsne(x: np.ndarray, *, seed: int) -> np.ndarray:
    """Points ``(n, 2)`` for ``x`` ``(n, d)``; raises ``InputError`` for one dimension, for fewer than 10 samples, and
    if all samples are equal, which makes scikit-learn end the process."""
    n, d = x.shape
    if d < 2:
        raise InputError(f"t-SNE needs at least 2 dimensions, got {d}")
    if n < MIN_POINTS:
        raise InputError(f"t-SNE needs at least {MIN_POINTS} samples, got {n}")
    if not (x - x[0]).astype(np.float32).var(axis=0).any():  # scikit-learn works in float32
        raise InputError(f"t-SNE needs samples that differ, and all {n} are the same")
    x = PCA(min(PRINCIPAL, n, d), random_state=seed).fit_transform(x)
    return TSNE(perplexity=min(PERPLEXITY, (n - 1) / 3), random_state=seed).fit_transform(x)
