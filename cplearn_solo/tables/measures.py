"""What a table measures on a run's network besides the summary; its data file lists it under ``measures``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.config import Config
from cplearn_solo.config.compose import composed
from cplearn_solo.config.evaluation import LinearConfig, ProbeOptimizer
from cplearn_solo.core.files import whole_file
from cplearn_solo.core.scripts import SCRIPTS
from cplearn_solo.data import sampled
from cplearn_solo.detection.schema import parse_detection
from cplearn_solo.detection.train import detect
from cplearn_solo.engine.find import kept_checkpoints
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.prepare import training_splits
from cplearn_solo.evaluation.linear import linear_probe
from cplearn_solo.evaluation.programs import evaluate
from cplearn_solo.evaluation.scores import sample
from cplearn_solo.inference.devices import device_after_training
from cplearn_solo.inference.features import extractor
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.inference.splits import splits_of
from cplearn_solo.metrics import effective_rank, knn_accuracies, matrix_cross_entropy
from cplearn_solo.metrics.collapse import covariance_spectrum
from cplearn_solo.metrics.intracluster import inter_class_effective_rank, intra_class_effective_rank

BATCH = 512  # rows of one matrix cross-entropy (Matrix-SSL, App. D.1)
FRACTIONS = {"1": 0.01, "10": 0.1}  # of the labels (Matrix-SSL, Table 4)
# Fine-tuning as in scripts/linear/finetune.yaml, but for at least STEPS steps.
FINETUNING = {"name": "sgd", "lr": 0.1, "backbone_lr": 0.01, "batch_size": 256}
EPOCHS, STEPS = 20, 200
RAREST = 3  # classes
Found = dict[str, Any]  # numbers and lists by name


def measure(names: Iterable[str], place: Path) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Numbers and lists of the run or checkpoint at ``place``, by ``names`` of ``MEASURES``."""
    found = {key: value for name in names for key, value in MEASURES[name](place).items()}
    lists = {key: value for key, value in found.items() if isinstance(value, list)}
    return {key: value for key, value in found.items() if key not in lists}, lists


def store_untrained(file: Path, config: Config) -> Path:
    """Stores the network that training would start from as a checkpoint, and returns ``file``."""
    from lightning import seed_everything

    seed_everything(config.seed, verbose=False)
    module = Pretrainer(config, **image_statistics(training_splits(config).train))
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    with whole_file(file) as partial, open(partial, "wb") as out:
        torch.save(checkpoint, out)
    return file


def spectrum(place: Path) -> Found:
    """Eigenvalues of the covariance of training images' embeddings, largest first, and their effective rank.

    As in Fig. 8 of the 2023 report, on at most 10,000 images without augmentation.
    """
    model = load_pretrained(place)
    device = device_after_training(model.config)
    splits, _ = splits_of(model, {})
    images = sampled(splits.train, sample(len(splits.train), model.config.seed))
    feats = extractor(model.backbone, model.method, model.config, device=device)(images).x
    embeddings = model.method.to(device).embed(feats.to(device)).cpu()
    eigenvalues = [float(f"{value:.4g}") for value in covariance_spectrum(embeddings).tolist()]
    return {"embeddings_spectrum": eigenvalues, "embeddings_effective_rank": effective_rank(embeddings)}


def classes(place: Path) -> Found:
    """How much features of test images differ within and between classes (Matrix-SSL, App. D, Figs. 2 to 4).

    Effective ranks (Eqs. 20, 21) at the end and at each kept checkpoint, and the matrix cross-entropy of I/d and the
    covariance of normalised features, averaged over shuffled batches of 512.
    """
    kept = kept_checkpoints(place)
    ranks = [_class_ranks(*_test_features(file)) for file in kept.values()]
    x, y = _test_features(place)
    within, between = _class_ranks(x, y)
    found = {"intra_class_rank": within, "inter_class_rank": between, "uniformity_mce": _uniformity(x)}
    if ranks:
        found |= {"kept_epochs": list(kept)}
        found |= dict(zip(("intra_class_rank_by_epoch", "inter_class_rank_by_epoch"), map(list, zip(*ranks))))
    return found


def rare_classes(place: Path) -> Found:
    """How well features separate classes with few training images: scores of classifiers that learn from all training
    images, while the network was trained on unequal numbers per class (``data.imbalance``).

    Balanced accuracy of the converged linear probe, and kNN's mean recall of the three classes with the fewest training
    images, if there are three classes.
    """
    model = load_pretrained(place)
    labels = splits_of(model, {})[0].train.labels
    classes, counts = labels[labels >= 0].unique(return_counts=True)
    splits, _ = splits_of(model, {"imbalance": None})
    features = extractor(model.backbone, None, model.config, device=device_after_training(model.config))
    train, test = features(splits.probe).labelled(), features(splits.test).labelled()
    rare = torch.isin(test.y, classes[counts.argsort(stable=True)[:RAREST]])
    num_classes = splits.train.num_classes
    linear = linear_probe(train.x, train.y, test.x, test.y, num_classes=num_classes, seed=model.config.seed)
    found = {"whole_linear_balanced_acc1": linear.balanced_acc1}
    if len(classes) < RAREST or not rare.any():
        return found
    knn = knn_accuracies(train.x, train.y, test.x[rare], test.y[rare], num_classes=num_classes)
    return {**found, "rare_recall": knn.of_classes}


def finetuned(place: Path) -> Found:
    """Accuracy of backbone and linear head trained on 1 % and 10 % of the labels (Matrix-SSL, Table 4)."""
    found, model = {}, load_pretrained(place)
    for percent, fraction in FRACTIONS.items():
        data = {"fraction": fraction}
        steps = -(-len(splits_of(model, data)[0].probe) // FINETUNING["batch_size"])  # of an epoch
        wanted = LinearConfig(
            pretrained=str(place),
            data=data,
            protocol="paper",
            finetune=True,
            optimizer=ProbeOptimizer(**FINETUNING),
            max_epochs=max(EPOCHS, -(-STEPS // steps)),
            num_workers=model.config.data.num_workers,
            seed=model.config.seed,
        )
        scores = evaluate(wanted).scores
        found |= {f"{key}_{percent}": scores[key] for key in ("finetuned_acc1", "finetuned_acc5") if key in scores}
    return found


def detected(place: Path, *, settings: str) -> Found:
    """AP of boxes and masks of a detector on top of the backbone (Matrix-SSL, Tables 2 and 3), trained with the
    configuration ``settings`` of ``scripts/detection`` and the run's seed."""
    raw = composed(SCRIPTS / "detection", settings)
    raw.pretrained, raw.seed = str(place), load_pretrained(place).config.seed
    return {f"detected_{key}": value for key, value in detect(parse_detection(raw)).result.items() if "AP" in key}


MEASURES: dict[str, Callable[[Path], Found]] = {
    "spectrum": spectrum,
    "classes": classes,
    "rare_classes": rare_classes,
    "finetuned": finetuned,
    "detection_mini": partial(detected, settings="mini"),
    "detection_full": partial(detected, settings="coco_c4"),
}


def _test_features(place: Path) -> tuple[Tensor, Tensor]:
    model = load_pretrained(place)
    splits, _ = splits_of(model, {})
    test = extractor(model.backbone, None, model.config, device=device_after_training(model.config))(splits.test)
    known = test.labelled()
    return known.x, known.y


def _class_ranks(x: Tensor, y: Tensor) -> tuple[float, float]:
    return intra_class_effective_rank(x, y), inter_class_effective_rank(x, y)


def _uniformity(x: Tensor) -> float:
    """Mean over batches of MCE(I/d + I/d, Z^T Z / n + I/d) (Eq. 8 with lambda = 1/d). The paper's App. D.1 names no
    lambda; without one, collapsed directions would cost nothing."""
    x = F.normalize(x.double(), dim=1)[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    d = x.shape[1]
    identity = torch.eye(d, dtype=x.dtype) / d
    batches = [batch for batch in x.split(BATCH) if len(batch) == min(BATCH, len(x))]
    values = [matrix_cross_entropy(2 * identity, z.T @ z / len(z) + identity).item() for z in batches]
    return sum(values) / len(values)
