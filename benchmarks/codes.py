"""How many codes a short run learns with: python benchmarks/codes.py TRAIN.parquet TEST.parquet [--images 300 ...]

CPLearn on the first images of a table such as CIFAR-10's, at 16 pixels with a ResNet-8 of width 16, Adam at 3e-3 with
warm-up and cosine, batches of 64. A row for each number of codes c and embedding width f. ``gain``: how far the loss at
the end is below log c, its value if all images look alike. ``information``: mutual information of codes and images in a
batch, at the start and at the end, in nats. ``kNN``: accuracy on test images; ``random``: the same with the initial
backbone. 800 steps take about 25 s of processor time.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor, nn

from cplearn_solo.backbones import build_backbone
from cplearn_solo.data import Augmentation, BatchAugment, DataConfig, MemorySet, load_splits, step_generator
from cplearn_solo.data.order import EpochSampler
from cplearn_solo.data.schema import RRC, ColorJitter, Prob
from cplearn_solo.methods import Progress, Views, build_method
from cplearn_solo.metrics import knn_accuracies

SIZE, WIDTH, BATCH, RATE, WARMUP = 16, 16, 64, 3e-3, 20  # the last: warm-up is 1/20 of the steps
LATEST = 10  # numbers are means over so many steps
VIEWS = Augmentation(
    rrc=RRC(crop_min_scale=0.2),
    color_jitter=ColorJitter(prob=0.8),
    grayscale=Prob(0.2),
    horizontal_flip=Prob(0.5),
    crop_size=SIZE,
    num_crops=2,
)
HEADER = "| images | steps | c | f | gain | information, start | end | kNN | random |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train")
    parser.add_argument("test")
    for name, default in (("images", [300]), ("steps", [800]), ("codes", [16, 64, 256]), ("f", [512]), ("seeds", [0])):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=default)
    given = parser.parse_args()
    print(f"{HEADER}\n{'|---' * HEADER.count(' | ')}|---|")
    for n in given.images:
        cfg = DataConfig("parquet", given.train, given.test, max_train_images=max(n, 1000), max_val_images=1000)
        splits = load_splits(replace(cfg, allow_overlap=True), seed=0)
        for steps, c, f, seed in product(given.steps, given.codes, given.f, given.seeds):
            gain, first, last, knn, random = trained(splits.train, splits.test, n, steps, c, f, seed)
            numbers = f"{gain:.2f} | {first:.2f} | {last:.2f} | {knn:.3f} | {random:.3f}"
            print(f"| {n} | {steps} | {c} | {f} | {numbers} |", flush=True)


def trained(images: MemorySet, test: MemorySet, n: int, steps: int, c: int, f: int, seed: int) -> tuple[float, ...]:
    """The numbers of a row, for a run on the first ``n`` images."""
    torch.manual_seed(seed)
    backbone = build_backbone("resnet8", crop_size=SIZE, width=WIDTH).to(memory_format=torch.channels_last)
    method = build_method(
        "cplearn", WIDTH, batch_size=BATCH, method_kwargs={"proj_hidden_dim": f, "proj_output_dim": c}
    )
    augment = BatchAugment([VIEWS], images.mean, images.std)
    optimizer = torch.optim.Adam([*backbone.parameters(), *method.parameters()], fused=True)
    batches, random = EpochSampler(n, seed=seed, batch_size=BATCH), neighbours(backbone, images, test)
    losses, information = [], []
    for step in range(steps):
        epoch, place = divmod(step, len(batches))
        if not place:
            batches.set_epoch(epoch)
            order = batches.batches()
        warm = steps // WARMUP
        share = min(1.0, (step + 1) / warm) * (1 + math.cos(math.pi * max(0, step - warm) / (steps - warm))) / 2
        for group in optimizer.param_groups:
            group["lr"] = RATE * share
        crops = augment(images.images[order[place]], step_generator(seed, epoch, place))
        feats = [backbone(crop.contiguous(memory_format=torch.channels_last)) for crop in crops]
        views = Views(feats, 2, Progress(epoch, steps // len(batches), step, steps), None, None, None, None)
        found = method.loss(views)
        optimizer.zero_grad()
        found["loss"].backward()
        optimizer.step()
        losses.append(found["loss"].item())
        information.append((found["mean_entropy"] - found["assignment_entropy"]).item())
    ends = (math.log(c) - mean(losses[-LATEST:]), mean(information[:LATEST]), mean(information[-LATEST:]))
    return (*ends, neighbours(backbone, images, test), random)


@torch.no_grad()
def neighbours(backbone: nn.Module, images: MemorySet, test: MemorySet) -> float:
    """kNN accuracy on the test images."""
    backbone.eval()
    x, y = (features(backbone, of) for of in (images, test))
    backbone.train()
    return knn_accuracies(x, images.labels, y, test.labels, num_classes=10, nearness="centred").of_rows


def features(backbone: nn.Module, images: MemorySet) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (images.mean, images.std))
    small = nn.functional.interpolate(images.images.float() / 255, (SIZE, SIZE), mode="area")
    return torch.cat([backbone(part) for part in ((small - mean) / std).split(256)])


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
