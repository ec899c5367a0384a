"""Scores of codes, features and assignments; each raises ``InputError`` on bad input."""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.metrics.accuracy import accuracies, balanced
    from cplearn_solo.metrics.clustering import (
        ami,
        ari,
        cluster_accuracy,
        clustering_scores,
        codes_used,
        kmeans_ami,
        nmi,
        nmi_at_chance,
    )
    from cplearn_solo.metrics.information import (
        matrix_cross_entropy,
        matrix_entropy,
        matrix_kl,
        matrix_log,
        total_coding_rate,
    )
    from cplearn_solo.metrics.knn import knn_accuracies, knn_accuracy
    from cplearn_solo.metrics.spectrum import effective_rank

__getattr__, __all__ = lazy_imports(__file__)
