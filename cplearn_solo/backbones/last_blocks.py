"""Several layers of a ViT as its representation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cplearn_solo.core.errors import require


class LastBlocks(nn.Module):
    """Class tokens after each of the last ``blocks`` blocks of a timm ViT, normalised by its last norm, concatenated.

    Maps images to features ``(n, blocks d)``: what DINO trains linear classifiers on, with four blocks of a ViT-small
    (Caron et al., 2021, Appendix F.2). Raises ``InputError`` for a backbone without class tokens or so many blocks.
    """

    def __init__(self, vit: nn.Module, blocks: int) -> None:
        super().__init__()
        has_token = getattr(vit, "cls_token", None) is not None
        require(has_token, "last_blocks", blocks, "0 for a backbone that is no ViT with a class token")
        require(1 <= blocks <= len(vit.blocks), "last_blocks", blocks, f"1 to {len(vit.blocks)}, the backbone's blocks")
        self.vit, self.blocks = vit, blocks
        self.num_features = blocks * vit.num_features

    def forward(self, images: Tensor) -> Tensor:
        layers = self.vit.get_intermediate_layers(images, n=self.blocks, return_prefix_tokens=True, norm=True)
        return torch.cat([prefix[:, 0] for _, prefix in layers], dim=1)
