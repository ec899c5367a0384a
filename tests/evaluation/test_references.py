"""What stands beside scores: chance, and a random backbone."""

import pytest
import torch
from support.configs import tiny
from support.images import write_images

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import load_splits
from cplearn_solo.evaluation import reference_rows
from cplearn_solo.evaluation.reference_rows import RANDOM_BACKBONE, RAW_PIXELS, chance_scores, random_backbone_scores


def test_chance_is_the_most_frequent_class_and_what_is_corrected_for_it_is_zero():
    labels = torch.tensor([0, 0, 0, 1, 2, -1])  # one of which is unknown
    names = ("knn_acc1", "knn_balanced_acc1", "linear_train_acc1", "ami", "ari", "kmeans_ami", "effective_rank")
    scores = {**dict.fromkeys(names, 0.9), "nmi": 0.8, "nmi_chance": 0.3, "verdict": "healthy"}
    zeros = {"ami": 0.0, "ari": 0.0, "kmeans_ami": 0.0}
    found = chance_scores(labels, scores)
    assert found == pytest.approx({"knn_acc1": 3 / 5, "knn_balanced_acc1": 1 / 3, "nmi": 0.3, **zeros})
    assert chance_scores(torch.zeros(4), scores) == {} == chance_scores(-torch.ones(4), scores)


def test_a_reference_row_needs_held_out_images(tmp_path):
    write_images(tmp_path, ["images/1.png", "images/2.png"])
    config = parse_config(tiny(tmp_path, data={"dataset": "custom", "train_path": str(tmp_path), "no_labels": True}))
    with pytest.raises(InputError, match="data.no_labels = True: must be false to have scores"):
        reference_rows.reference_row(RAW_PIXELS, config)


def test_random_weights_need_no_gpu(tmp_path, monkeypatch):
    config = parse_config(tiny(tmp_path))
    splits = load_splits(config.data, seed=config.seed)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # to put them in use would raise here
    reference_rows.random_module(config, splits)


def test_a_random_backbone_scores_as_the_reference_row_of_tables(tmp_path, monkeypatch):
    config = parse_config(tiny(tmp_path))
    splits = load_splits(config.data, seed=config.seed)
    state = torch.get_rng_state()
    found = random_backbone_scores(config, splits)
    assert torch.equal(torch.get_rng_state(), state)
    row, data = reference_rows.reference_row(RANDOM_BACKBONE, config).values()
    assert data == splits.fingerprint
    assert {"linear_acc1", "knn_acc1", "kmeans_ami"} <= found.keys()
    assert found == {key: row[key] for key in found}
    monkeypatch.setattr(reference_rows, "MANY", 300)
    assert random_backbone_scores(config, splits) == {}
