"""Classifiers trained on random crops, with the backbone frozen or trained too."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from cplearn_solo.config.evaluation import LinearConfig, ProbeOptimizer
from cplearn_solo.config.read_evaluation import parse_evaluation
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, load_splits
from cplearn_solo.evaluation import on_images
from cplearn_solo.evaluation.on_images import train_on_images

IMAGES = load_splits(DataConfig(max_train_images=160), seed=0).train


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 16), nn.BatchNorm1d(16), nn.ReLU()).eval()


def trained(backbone, *, finetune, lr=1e-2, epochs=3, **optimizer):
    calls = []
    classifier = train_on_images(
        backbone, IMAGES, features_dim=16, crop_size=8, epochs=epochs,
        optimizer=ProbeOptimizer(lr=lr, batch_size=64, **optimizer), finetune=finetune, num_workers=0, seed=0,
        device=torch.device("cpu"), progress=lambda *call: calls.append(call),
    )  # fmt: skip
    assert calls == [(done, epochs) for done in range(1, epochs + 1)]
    return classifier


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_a_frozen_backbone_stays_as_it_is_and_the_seed_rules_the_crops():
    backbone = network()
    state = torch.get_rng_state()
    one, two = (trained(backbone, finetune=False) for _ in range(2))
    assert same(backbone, network()) and same(one, two) and one.weight.abs().max() > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_a_backbone_is_trained_at_a_rate_of_its_own():
    moved, still = network(), network()
    trained(moved, finetune=True, backbone_lr=1e-3)
    trained(still, finetune=True, backbone_lr=0.0)
    assert not torch.equal(moved[1].weight, network()[1].weight)
    assert torch.equal(still[1].weight, network()[1].weight)
    assert not moved.training and not moved[1].weight.requires_grad


def by_hand(optimizer, epochs=3):
    """The classifier of a plain loop on the same crops: weights from 0, a rate on half a cosine epoch by epoch."""
    backbone, layer = network(), nn.Linear(16, IMAGES.num_classes)
    layer.weight.data.zero_(), layer.bias.data.zero_()
    build = {"sgd": partial(torch.optim.SGD, momentum=0.9), "adam": torch.optim.Adam}[optimizer]
    solver = build(layer.parameters(), lr=1e-2, weight_decay=1e-3)
    batches = on_images._Batches(IMAGES, 8, 64, 0, 0, torch.device("cpu"))
    for epoch in range(epochs):
        solver.param_groups[0]["lr"] = 1e-2 * (1 + math.cos(math.pi * epoch / epochs)) / 2
        for views, labels in batches(epoch):
            solver.zero_grad()
            nn.functional.cross_entropy(layer(backbone(views)), labels).backward()
            solver.step()
    return layer


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_classifier_is_that_of_a_plain_loop(optimizer):
    found, wanted = trained(network(), finetune=False, name=optimizer, weight_decay=1e-3), by_hand(optimizer)
    torch.testing.assert_close(found.weight, wanted.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.bias, wanted.bias, rtol=1e-4, atol=1e-6)


def test_images_without_a_label_do_not_count_and_crops_are_flipped_half_of_the_time():
    unknown = replace(IMAGES, labels=torch.where(torch.arange(len(IMAGES)) % 2 == 0, IMAGES.labels, -1))
    settings = {"features_dim": 16, "crop_size": 8, "epochs": 1, "num_workers": 0, "seed": 0, "finetune": False}
    settings |= {"device": torch.device("cpu"), "optimizer": ProbeOptimizer(batch_size=16)}
    known = IMAGES.subset(torch.arange(0, len(IMAGES), 2))
    assert same(*(train_on_images(network(), images, **settings) for images in (unknown, known)))
    batches = on_images._Batches(IMAGES, 8, 64, 0, 0, torch.device("cpu"))
    assert batches.augment.pipelines[0][0].keywords == {"size": 8, "scale": (0.08, 1.0), "flip": 0.5}


def test_fewer_images_than_a_batch_and_divergence():
    few = IMAGES.subset(torch.arange(20))
    settings = {"features_dim": 16, "crop_size": 8, "epochs": 1, "num_workers": 0, "seed": 0, "finetune": False}
    place = {"device": torch.device("cpu")}
    assert train_on_images(network(), few, optimizer=ProbeOptimizer(), **settings, **place).weight.abs().max() > 0
    with pytest.raises(InputError, match="must be smaller, training diverged"):
        trained(network(), finetune=True, lr=1e38, name="sgd")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"augment": True, "protocol": "converged"}, "protocol = 'converged': must be paper with augment=true"),
        ({"finetune": True, "protocol": "converged"}, "protocol = 'converged': must be paper with finetune=true"),
        ({"augment": True, "optimizer": {"lr": [0.1, 0.2]}}, "must be one number with augment=true"),
        ({"optimizer": {"backbone_lr": 0.1}}, "optimizer.backbone_lr = 0.1: must be null without finetune=true"),
        ({"finetune": True, "optimizer": {"backbone_lr": -1.0}}, "optimizer.backbone_lr = -1.0: must be null"),
        ({"protocol": "papers"}, "unknown protocol 'papers'"),
    ],
)
def test_keys_that_make_no_sense_together(change, message):
    with pytest.raises(InputError, match=message):
        parse_evaluation({"pretrained": "run", "protocol": "paper", **change}, LinearConfig)
