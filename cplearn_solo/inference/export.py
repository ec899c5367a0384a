"""A trained backbone as a plain file, for other software."""

from __future__ import annotations

from pathlib import Path

import torch

from cplearn_solo.core.errors import require
from cplearn_solo.core.files import whole_file
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained


def export_backbone(pretrained: str | Path, file: str | Path) -> Pretrained:
    """Writes the backbone's state dict to ``file``, which must not exist; returns the model of ``pretrained``.

    ``pretrained`` is a run folder or a checkpoint.
    """
    target = Path(file)
    require(not target.exists(), "FILE", str(target), "a new file, that one exists already")
    require(target.parent.is_dir(), "FILE", str(target), f"in a folder, there is no folder {target.parent}")
    model = load_pretrained(pretrained)
    with whole_file(target) as partial:
        torch.save({key: value.contiguous() for key, value in model.backbone.state_dict().items()}, partial)
    return model
