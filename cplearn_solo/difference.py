"""What makes two configurations the same run: the keys that count, and where two configurations differ in them."""

from collections.abc import Sequence
from typing import Any

from cplearn_solo.data import KNOWN_IMAGES

# A run that is resumed by name may have them changed; what follows from them, such as learning rates, is printed.
DEVICES = ("devices", "num_nodes", "optimizer.batch_size", "strategy", "sync_batchnorm")

# Where images are. What they are, if they are the user's own and not a data set known by its name.
PATHS = ("data.train_path", "data.val_path")

# Keys that do not change what is learned: a run may be resumed although they differ.
NOT_IDENTITY = (
    "accelerator",
    "auto_resume",
    "checkpoint",
    "data.num_workers",
    "enable_model_summary",
    "enable_progress_bar",
    "evaluation",
    "log_every_n_steps",
    "method_kwargs.dictionary_parallel",
    "method_kwargs.kept_logits_mb",
    "on_collapse",
    "performance.compile",
    "resume_from_checkpoint",
    "tensorboard",
    "wandb",
)


def difference(ours: dict[str, Any], theirs: dict[str, Any], *, but: Sequence[str] = ()) -> list[str]:
    """Where two plain configurations would learn something different: ``"optimizer.lr: 0.1 there, 0.2 here"``, ...

    ``but``: keys that do not count.
    """
    here, there = _flat(ours), _flat(theirs)
    paths = PATHS if here.get("data.dataset") in KNOWN_IMAGES else ()
    absent, ignored = "absent", tuple(f"{name}." for name in (*NOT_IDENTITY, *paths, *but))
    return [
        f"{key}: {there.get(key, absent)!r} there, {here.get(key, absent)!r} here"
        for key in sorted(here.keys() | there.keys())
        if here.get(key) != there.get(key) and not f"{key}.".startswith(ignored)
    ]


def _flat(values: Any, path: str = "") -> dict[str, Any]:
    if isinstance(values, dict):
        items = values.items()
    elif isinstance(values, list) and any(isinstance(v, dict) for v in values):
        items = enumerate(values)
    else:
        return {path: values}
    return {k: v for key, value in items for k, v in _flat(value, f"{path}.{key}" if path else str(key)).items()}
