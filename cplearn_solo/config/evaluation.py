"""Configuration of the evaluation programs: every key with its type, default and meaning."""

from dataclasses import dataclass, field
from typing import Any, Optional

ACCELERATORS = ("auto", "cpu", "cuda", "gpu")
OPTIMIZERS = ("adam", "sgd")  # of the paper's linear probe
LINEAR_PROTOCOLS = ("converged", "paper")
PROTOCOLS = ("eval", "train")


@dataclass
class EvalConfig:
    """What all of them have."""

    pretrained: str | None = None  # run folder or checkpoint
    data: dict[str, Any] = field(default_factory=dict)  # overrides of the data the run was trained on
    batch_size: int = 256  # images at once; no score depends on it, unless the protocol of clustering is train
    num_workers: Any = "auto"  # processes that read image files; auto: from the number of cores
    accelerator: str = "auto"  # one of ACCELERATORS
    seed: int | None = None  # null: that of the run, so that scores are those of its summary


@dataclass
class ProbeOptimizer:
    name: str = "adam"  # one of OPTIMIZERS
    lr: Any = 1e-2  # or a list, of which the best on a tenth of the training images is taken
    batch_size: int = 256
    weight_decay: float = 0.0
    backbone_lr: Optional[float] = None  # with finetune: that of the backbone; null: lr, as in solo-learn


@dataclass
class LinearConfig(EvalConfig):
    """Linear probe; the optimizer's defaults are the protocol of the CPLearn paper (Appendix I)."""

    # converged: logistic regression of standardised features, solved to convergence. paper: optimizer steps on raw
    # features, so the result depends on their scale; augment and finetune use these steps too
    protocol: str = "converged"
    optimizer: ProbeOptimizer = field(default_factory=ProbeOptimizer)
    max_epochs: int = 100
    augment: bool = False  # new features each epoch, from random resized crops flipped with probability 0.5
    finetune: bool = False  # train the backbone too, on such crops
    last_blocks: int = 0  # ViT blocks at the end whose class tokens are the features, as in DINO; 0: usual features


@dataclass
class KNNConfig(EvalConfig):
    """Weighted kNN, by cosine around the mean and around the origin, and by Euclidean distance."""

    k: int = 20
    temperature: float = 0.07  # of the cosines


@dataclass
class ClusteringConfig(EvalConfig):
    """Codes against classes, chance included, and k-means on the representation."""

    # eval: BatchNorm uses running statistics. train: it uses each batch's statistics, as the released scripts do, so
    # the codes depend on batch_size; for comparison only
    protocol: str = "eval"
