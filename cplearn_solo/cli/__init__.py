"""Command-line programs."""

from cplearn_solo.cli.main import clustering, knn, linear, main, pretrain, table

__all__ = ["clustering", "knn", "linear", "main", "pretrain", "table"]
