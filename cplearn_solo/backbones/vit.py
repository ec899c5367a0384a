"""timm's ViT, made equal to DINO's where they differ (Caron et al., 2021, ``vision_transformer.py``)."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F


class DinoViT(VisionTransformer):
    """timm's ViT with DINO's positions for crops of another size.

    timm resizes positions with an anti-aliasing filter; DINO uses bicubic interpolation without a filter.
    """

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Tokens ``(n, prefix + h w, d)`` with their positions, from patches ``(n, h, w, d)``."""
        size, own = tuple(x.shape[1:3]), self.patch_embed.grid_size
        if self.pos_embed is None or not self.dynamic_img_size or size == own:
            return super()._pos_embed(x)
        prefix = [token.expand(len(x), -1, -1) for token in (self.cls_token, self.reg_token) if token is not None]
        positions = resized_positions(self.pos_embed, own, size)
        if self.no_embed_class:
            return self.pos_drop(torch.cat([*prefix, x.flatten(1, 2) + positions], dim=1))
        return self.pos_drop(torch.cat([*prefix, x.flatten(1, 2)], dim=1) + positions)


def as_dino(vit: VisionTransformer, *, start: bool) -> DinoViT:
    """``vit`` with DINO's positions; with ``start``, its class token is re-initialised with DINO's deviation 0.02."""
    vit.__class__ = DinoViT  # timm chooses the class itself; DinoViT only overrides a method of it
    if start and vit.cls_token is not None:
        nn.init.trunc_normal_(vit.cls_token, std=0.02)
    return vit


def resized_positions(positions: Tensor, own: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Positions ``(1, prefix + H W, d)`` of a grid ``own`` as ``(1, prefix + h w, d)`` of a grid ``size``.

    Bicubic, by the factor (h + 0.1) / H. The offset, which DINO added against rounding, shifts the sampling points.
    """
    prefix, grid = positions.split([positions.shape[1] - own[0] * own[1], own[0] * own[1]], dim=1)
    grid = grid.unflatten(1, own).permute(0, 3, 1, 2)
    factors = [(new + 0.1) / old for new, old in zip(size, own)]
    resized = F.interpolate(grid.float(), scale_factor=factors, mode="bicubic").to(grid.dtype)
    return torch.cat([prefix, resized.flatten(2).mT], dim=1)
