"""What a key that says ``auto`` becomes: one rule a key, each of which gives the value and its reason.

The rules for codes and f come from measurements, which docs/your-images.md has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from cplearn_solo.auto.seen import Seen

BATCH = 64  # images of a step, if there are enough
STEPS = {False: 1500, True: 10_000}  # of a run, without and with a GPU
EPOCHS = (5, 300)  # at least and at most
WARMUP = 0.05  # share of a run's epochs
SIDES = {False: (8, 16, 32, 64), True: (8, 16, 32, 64, 128, 224)}  # of crops in pixels, without and with a GPU
MANY_IMAGES = 1000
CODES = {True: 16, False: 64}  # c, for fewer images than that and for more
EMBEDDING = 512  # f
# Adam's rates that train the two backbones, before scaling by batch size / 256
RATES = {"resnet8": 1.2e-2}
RATE = 4e-3


class Choice(NamedTuple):
    """A value and why it was chosen."""

    value: Any
    why: str


@dataclass(frozen=True)
class Known:
    """What a rule may ask: what was ``seen``, and ``key``, the value of a key that was given or chosen before."""

    seen: Seen
    key: Callable[[str], Any]

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return max(1, self.seen.images // self.key("optimizer.batch_size"))


def crop_size(known: Known) -> Choice:
    """The size of crops that is nearest to the images' own, as ratios go."""
    side, gpu = known.seen.side, known.seen.gpu
    nearest = min(SIDES[gpu], key=lambda size: abs(math.log(size / side)))
    limit = "" if gpu or nearest < SIDES[gpu][-1] else ", and larger crops take a GPU"
    return Choice(nearest, f"half of the images have shorter sides of {side} pixels or more{limit}")


def backbone(known: Known) -> Choice:
    if known.seen.gpu:
        return Choice("resnet18", "there is a GPU")
    return Choice("resnet8", "there is no GPU")


def width(known: Known) -> Choice:
    """Of ResNet-8 alone."""
    return Choice(32 if known.key("backbone.name") == "resnet8" else None, "its small form")


def batch_size(known: Known) -> Choice:
    """A power of two, so that at least half of the images make whole batches."""
    images = known.seen.images
    size = min(BATCH, 2 ** int(math.log2(images)))
    return Choice(size, "as tested" if size == BATCH else f"there are {images} images")


def max_epochs(known: Known) -> Choice:
    fewest, most = EPOCHS
    epochs = min(max(fewest, math.ceil(STEPS[known.seen.gpu] / known.steps)), most)
    return Choice(epochs, f"{epochs * known.steps} steps, {known.steps} an epoch")


def warmup_epochs(known: Known) -> Choice:
    epochs, most = known.key("max_epochs"), known.key("max_steps") or -1
    if most > 0:
        epochs = min(epochs, most / known.steps)
    return Choice(round(WARMUP * epochs, 2), f"{WARMUP:.0%} of the epochs")


def precision(known: Known) -> Choice:
    if known.seen.bfloat16:
        return Choice("bf16-mixed", "the GPU has units for bfloat16")
    return Choice("32-true", "a GPU without units for bfloat16" if known.seen.gpu else "there is no GPU")


def learning_rate(known: Known) -> Choice:
    name = known.key("backbone.name")
    return Choice(RATES.get(name, RATE), f"trains {name}")


def codes(known: Known) -> Choice:
    """With more of them a run takes longer to tell images apart, docs/your-images.md."""
    few = known.seen.images < MANY_IMAGES
    return Choice(CODES[few], f"{known.seen.images} images; more codes take longer to learn")


def embedding(known: Known) -> Choice:
    return Choice(EMBEDDING, "a smaller one is not learned faster")


RULES: dict[str, Callable[[Known], Choice]] = {
    "augmentations.N.crop_size": crop_size,
    "backbone.name": backbone,
    "backbone.kwargs.width": width,
    "optimizer.batch_size": batch_size,
    "optimizer.lr": learning_rate,
    "max_epochs": max_epochs,
    "scheduler.warmup_epochs": warmup_epochs,
    "precision": precision,
    "method_kwargs.proj_output_dim": codes,
    "method_kwargs.proj_hidden_dim": embedding,
}
