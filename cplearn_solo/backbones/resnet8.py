"""ResNet-8 of CPLearn's Table 5, a network without normalisation layers.

The table is read as follows: eight 3x3 convolutions of width F in four residual blocks, LeakyReLU(0.2) before every
convolution but the first. Blocks 1 and 2 halve the resolution by average pooling after their second convolution. The
table specifies only the shortcut of block 1 (average pooling, then a 1x1 convolution); the others are taken to be the
identity, average-pooled in block 2. The last pooling is over all positions, with no activation before it, and the
features have F entries: the f = 128 of the paper's CIFAR-10 runs is F = 128.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

LEAST_SIDE = 4  # pixels of an image, which is halved twice


def _conv(inputs: int, outputs: int, size: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2)


class Block(nn.Module):
    """x + conv(act(conv(act(x)))), optionally average-pooled by two."""

    def __init__(self, width: int, *, pool: bool) -> None:
        super().__init__()
        self.conv1, self.conv2, self.pool = _conv(width, width, 3), _conv(width, width, 3), pool

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x, 0.2)), 0.2))
        return F.avg_pool2d(x + y, 2) if self.pool else x + y


class ResNet8(nn.Module):
    """``width``: F of Table 5, also the number of features; ``channels``: of the images."""

    def __init__(self, width: int = 128, channels: int = 3) -> None:
        super().__init__()
        self.num_features = width
        self.conv1, self.conv2 = _conv(channels, width, 3), _conv(width, width, 3)
        self.shortcut = _conv(channels, width, 1)
        self.blocks = nn.Sequential(Block(width, pool=True), Block(width, pool=False), Block(width, pool=False))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, channels, h, w)``, h and w at least ``LEAST_SIDE``, to features ``(n, width)``."""
        return self.blocks(self.first_block(x)).mean(dim=(2, 3))

    def first_block(self, x: Tensor) -> Tensor:
        """Images to what ``blocks`` get, ``(n, width, h / 2, w / 2)``."""
        y = F.avg_pool2d(self.conv2(F.leaky_relu(self.conv1(x), 0.2)), 2)
        return y + self.shortcut(F.avg_pool2d(x, 2))
