"""A trained backbone as a plain file, for other software."""

from __future__ import annotations

from pathlib import Path

import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import whole_file
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained


def export_backbone(pretrained: str | Path, file: str | Path) -> Pretrained:
    """Writes the backbone's state dict to ``file``, which must not exist; returns the model of ``pretrained``.

    ``pretrained`` is a run folder or a checkpoint.
    """
    target = Path(file)
    if target.exists():
        raise InputError(f"{target} exists already: choose another name")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    model = load_pretrained(pretrained)
    with whole_file(target) as partial:
        torch.save({key: value.contiguous() for key, value in model.backbone.state_dict().items()}, partial)
    return model
