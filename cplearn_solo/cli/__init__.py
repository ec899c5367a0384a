"""Command-line programs."""

from cplearn_solo.cli.main import (
    check,
    clustering,
    collapse,
    embed,
    gallery,
    knn,
    linear,
    main,
    predict,
    pretrain,
    table,
)

__all__ = [
    "check",
    "clustering",
    "collapse",
    "embed",
    "gallery",
    "knn",
    "linear",
    "main",
    "predict",
    "pretrain",
    "table",
]
