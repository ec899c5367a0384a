"""Keys of solo-learn's YAMLs that have no meaning, or another one, in this program: a warning names them."""

from __future__ import annotations

import warnings
from typing import Any

from cplearn_solo.config.list_keys import value_at
from cplearn_solo.core.messages import Notice

IGNORED = {
    "dali",
    "auto_umap",
    "debug_augmentations",
    "augmentations_cfg",
    "auto_resume.max_hours",
    "knn_eval.distance_func",
    "data.num_classes",
}
IGNORED_METHOD_KWARGS = {"simsiam": {"temperature"}}
OURS = {"evaluation", "on_collapse"}  # keys that only this program has; every stored configuration has them
# Operations that solo-learn switches by their probability only, although some of its YAMLs have "enabled" too.
PROB_ONLY = {"color_jitter", "grayscale", "gaussian_blur", "solarization", "equalization", "horizontal_flip"}


def drop_ignored(values: dict[str, Any]) -> None:
    """Removes keys without a meaning here from ``values``, with one warning."""
    ignored = IGNORED | {f"method_kwargs.{k}" for k in IGNORED_METHOD_KWARGS.get(str(values.get("method")), ())}
    dropped = []
    for path in sorted(ignored):
        parent, _, key = path.rpartition(".")
        node = value_at(values, parent) if parent else values
        if isinstance(node, dict) and key in node:
            del node[key]
            dropped.append(path)
    pipelines = values.get("augmentations")
    for i, augmentation in enumerate(pipelines if isinstance(pipelines, list) else []):
        for name in sorted(PROB_ONLY & augmentation.keys()) if isinstance(augmentation, dict) else ():
            operation = augmentation[name]
            if isinstance(operation, dict) and "enabled" in operation:
                del operation["enabled"]
                dropped.append(f"augmentations[{i}].{name}.enabled")
    if dropped:
        warnings.warn(f"ignored, they mean nothing here: {', '.join(dropped)}", Notice, stacklevel=3)


def note_activation(values: dict[str, Any]) -> None:
    """Warns if a configuration looks like CPLearn's released one, which does not name its activation and scale.

    Such a configuration has solo-learn's ``data.format`` and none of the keys that only this program has.
    """
    data, kwargs = values.get("data"), values.get("method_kwargs")
    theirs = isinstance(data, dict) and "format" in data and not OURS & values.keys()
    silent = isinstance(kwargs, dict) and not {"activation", "scale"} & kwargs.keys()
    if theirs and silent and values.get("method") == "cplearn":
        warnings.warn(
            "method_kwargs.activation is not given: l2 at the paper's scale is taken; the authors' code has "
            "method_kwargs.activation=tanh method_kwargs.scale=released",
            Notice,
            stacklevel=3,
        )
