"""Command-line programs."""

from cplearn_solo.cli.main import clustering, collapse, knn, linear, main, pretrain, table

__all__ = ["clustering", "collapse", "knn", "linear", "main", "pretrain", "table"]
