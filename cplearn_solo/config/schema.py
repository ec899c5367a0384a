"""The pretraining configuration: every key with its type, default and meaning.

Keys are solo-learn's, so that its pretraining YAMLs run unchanged. Besides them, any argument of Lightning's
``Trainer`` is a top-level key. The dataclasses are OmegaConf structured configs, which need real types: no postponed
annotations here.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional

from cplearn_solo.data.schema import Augmentation, DataConfig
from cplearn_solo.data.sources.places import with_absolute_paths


@dataclass
class BackboneConfig:
    name: str = "resnet18"
    kwargs: Dict[str, Any] = field(default_factory=dict)  # for the backbone's constructor
    weights: Optional[str] = None  # to start from: run, checkpoint, file, timm, timm/TAG, torchvision, torchvision/NAME


@dataclass
class MomentumConfig:
    base_tau: float = 0.99  # EMA rate of the teacher at the start of training
    final_tau: float = 1.0  # the same rate at the end; it follows a cosine in between


@dataclass
class OptimizerConfig:
    name: str = "adam"  # adam, adamw, sgd, lars
    batch_size: int = 64  # images a device sees in one step
    lr: float = 4e-3  # before scaling by batch_size * devices * nodes * accumulation / 256
    weight_decay: float = 0.0
    classifier_lr: float = 0.1  # learning rate of the online linear probe, scaled in the same way
    exclude_bias_n_norm_wd: bool = False  # no weight decay on biases and normalisation layers
    kwargs: Dict[str, Any] = field(default_factory=dict)  # momentum, betas, eta, clip_lr, exclude_bias_n_norm, ...


@dataclass
class SchedulerConfig:
    name: str = "warmup_cosine"  # warmup_cosine, step, none
    warmup_epochs: float = 10
    warmup_start_lr: float = 3e-5
    min_lr: float = 0.0
    lr_decay_steps: Optional[List[int]] = None  # epochs at which "step" divides the rate by ten
    interval: str = "step"  # update each step or each epoch


@dataclass
class CheckpointConfig:
    enabled: bool = True
    dir: str = "runs"  # a run's folder is dir/name/id
    frequency: int = 1  # epochs between checkpoints
    keep_prev: bool = False  # keep each of them, not only the last


@dataclass
class AutoResumeConfig:
    enabled: bool = True  # continue an unfinished run of exactly this configuration


@dataclass
class KNNEvalConfig:
    enabled: bool = False  # online kNN accuracy on the held-out images, each validation
    k: int = 20


@dataclass
class PerformanceConfig:
    disable_channel_last: bool = False
    matmul_precision: str = "high"  # of float32 products on GPUs: highest, high (TF32), medium (bfloat16)
    graph: Any = "auto"  # replay steps on a GPU as a CUDA graph: auto, true, false; see docs/devices.md
    compile: bool = False  # the backbone by torch.compile; measure first, ResNet-8 got slower on CPU cores


@dataclass
class WandbConfig:
    enabled: bool = False
    entity: Optional[str] = None
    project: str = "cplearn-solo"
    offline: bool = False


@dataclass
class TensorboardConfig:
    enabled: bool = False


@dataclass
class EvaluationConfig:
    """What is computed on frozen features when training has ended."""

    linear: bool = True
    knn: bool = True
    clustering: bool = True


@dataclass
class Config:
    """A pretraining run."""

    name: str = ""  # of the run; METHOD-DATASET unless given, or METHOD-FOLDER with auto
    method: str = "cplearn"
    method_kwargs: Dict[str, Any] = field(default_factory=dict)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    momentum: Optional[MomentumConfig] = None  # for methods with a teacher
    data: DataConfig = field(default_factory=DataConfig)
    augmentations: List[Augmentation] = field(default_factory=list)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    auto_resume: AutoResumeConfig = field(default_factory=AutoResumeConfig)
    resume_from_checkpoint: Optional[str] = None
    knn_eval: KNNEvalConfig = field(default_factory=KNNEvalConfig)
    performance: PerformanceConfig = field(default_factory=PerformanceConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)
    tensorboard: TensorboardConfig = field(default_factory=TensorboardConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    dry_run: bool = False  # run some steps to estimate time and memory, then stop; makes no run folder
    on_collapse: str = "warn"  # or stop: end training once two epochs in a row show the same collapse, then evaluate
    seed: int = 5
    max_epochs: int = 100
    devices: Any = 1
    num_nodes: int = 1
    accumulate_grad_batches: int = 1
    trainer: Dict[str, Any] = field(default_factory=dict)  # other Trainer arguments, given as top-level keys

    @property
    def device_count(self) -> Optional[int]:
        """How many devices a node is asked for; ``None`` where that depends on what there is."""
        devices = self.devices
        return len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdecimal() else None

    @property
    def single_process(self) -> bool:
        """Whether exactly one device of one node is asked for."""
        return self.device_count == 1 and self.num_nodes == 1

    @property
    def max_steps(self) -> Optional[int]:
        """Optimizer steps with which the run ends, if that is before the end of its epochs; ``None`` without them."""
        steps = self.trainer.get("max_steps")
        return None if steps == -1 else steps

    @property
    def n_large(self) -> int:
        """Large crops: those of the first augmentation's size."""
        return sum(a.num_crops for a in self.augmentations if a.crop_size == self.augmentations[0].crop_size)

    def plain(self) -> Dict[str, Any]:
        """The same as nested plain types, as a YAML file would say it."""
        values = asdict(self)
        trainer = values.pop("trainer")
        return {**values, **trainer}

    def stored(self) -> Dict[str, Any]:
        """As :meth:`plain`, with absolute paths: what a run leaves behind is read from any folder."""
        return with_absolute_paths(self.plain())
