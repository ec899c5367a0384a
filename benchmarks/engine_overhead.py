"""What the engine costs on top of a bare PyTorch loop: python benchmarks/engine_overhead.py

Both train the shipped CPLearn configuration on digits with the same backbone, augmentation, method and optimizer, in
turns in one run. The bare loop is timed with and without the online probe. Medians over rounds, in ms per step.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import tempfile
import time
from functools import partial

import torch
from history import record
from shared import short_run, turn_by_turn
from torch.nn import functional as F

from cplearn_solo.config.schema import Config
from cplearn_solo.data import load_splits, step_generator, train_loader
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.train import pretrain
from cplearn_solo.methods import Progress, Views

ROUNDS, EPOCHS = 7, 8


def engine(config: Config) -> float:
    """Seconds per step in the engine, without validation."""
    with contextlib.redirect_stdout(io.StringIO()):
        trained = pretrain(config)
    trained.run.close()
    rows = EpochLog.read(trained.run.path)[1:]  # the first epoch is a warm-up, here and below
    return statistics.median(row["train_seconds"] for row in rows) / trained.module.trainer.num_training_batches


def bare(config: Config, *, probe: bool) -> float:
    """Seconds per step in a plain loop."""
    splits = load_splits(config.data, seed=config.seed)
    module = Pretrainer(config, **image_statistics(splits.train))  # only its parts are used
    loader = train_loader(splits.train, config.augmentations, batch_size=64, num_workers=0, seed=config.seed)
    backbone, method, classifier = module.backbone, module.method, module.classifier
    parameters = [*backbone.parameters(), *method.parameters(), *(classifier.parameters() if probe else ())]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    seconds = []
    for epoch in range(EPOCHS):
        loader.batch_sampler.set_epoch(epoch)
        start = time.perf_counter()
        for step, (_, images, labels) in enumerate(loader):
            crops = module.augment(images, step_generator(config.seed, epoch, step))
            feats = [backbone(x.contiguous(memory_format=torch.channels_last)) for x in crops]
            loss = method.loss(Views(feats, 2, Progress(epoch, EPOCHS, step, 1)))["loss"]
            if probe:
                loss = loss + F.cross_entropy(classifier(torch.cat(feats).detach()), labels.repeat(2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) / len(loader)


def main() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        config = short_run(folder, epochs=EPOCHS)
        ways = {
            "bare loop": partial(bare, config, probe=False),
            "bare loop with online probe": partial(bare, config, probe=True),
            "engine": partial(engine, config),
        }
        middles = turn_by_turn(ways, rounds=ROUNDS)
    print(f"{'':30}{'ms a step':>10}{'ratio':>8}")
    for name, middle in middles.items():
        print(f"{name:30}{1e3 * middle:10.2f}{middle / middles['bare loop']:8.2f}")
    record(__file__, {"engine": middles["engine"] / middles["bare loop"]})


if __name__ == "__main__":
    main()
