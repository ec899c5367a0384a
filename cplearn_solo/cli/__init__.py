"""Command-line programs."""

from cplearn_solo.cli.main import (
    check,
    clustering,
    collapse,
    detect,
    duplicates,
    embed,
    gallery,
    knn,
    linear,
    main,
    predict,
    pretrain,
    search,
    table,
    tune,
)
