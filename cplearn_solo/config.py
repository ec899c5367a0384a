"""The configuration: every key with its type, default and meaning, and the checks that name what is wrong.

Keys are solo-learn's, so that its pretraining YAMLs run unchanged. Besides them, any argument of Lightning's
``Trainer`` is a top-level key. Nothing here changes a configuration after it was read; derived values live elsewhere.
"""

import inspect
import warnings
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Dict, List, Optional, Tuple, Type, TypeVar, get_origin, get_type_hints

from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cplearn_solo.data import Augmentation, DataConfig, check_augmentation
from cplearn_solo.methods import METHODS
from cplearn_solo.registry import InputError, unknown

T = TypeVar("T")


@dataclass
class BackboneConfig:
    name: str = "resnet18"
    kwargs: Dict[str, Any] = field(default_factory=dict)  # for the backbone's constructor


@dataclass
class MomentumConfig:
    base_tau: float = 0.99  # EMA rate of the teacher at the start ...
    final_tau: float = 1.0  # ... and at the end, on a cosine in between


@dataclass
class OptimizerConfig:
    name: str = "adam"  # adam, adamw, sgd, lars
    batch_size: int = 64  # images a device sees in one step
    lr: float = 4e-3  # before scaling by batch_size * devices * nodes * accumulation / 256
    weight_decay: float = 0.0
    classifier_lr: float = 0.1  # of the online linear probe, scaled alike
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

    name: str = "run"
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
    on_collapse: str = "warn"  # or stop: end training once two epochs in a row show the same collapse, then evaluate
    seed: int = 5
    max_epochs: int = 100
    devices: Any = 1
    num_nodes: int = 1
    accumulate_grad_batches: int = 1
    trainer: Dict[str, Any] = field(default_factory=dict)  # other Trainer arguments, given as top-level keys

    @property
    def single_process(self) -> bool:
        """Whether exactly one device of one node is asked for."""
        devices = self.devices
        count = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdigit() else None
        return count == 1 and self.num_nodes == 1

    @property
    def n_large(self) -> int:
        """Large crops: those of the first augmentation's size."""
        return sum(a.num_crops for a in self.augmentations if a.crop_size == self.augmentations[0].crop_size)

    def plain(self) -> Dict[str, Any]:
        """The same as nested plain types, as a YAML file would say it."""
        values = asdict(self)
        trainer = values.pop("trainer")
        return {**values, **trainer}


TRAINER_KEYS = set(inspect.signature(Trainer.__init__).parameters) - {
    "self", "callbacks", "enable_checkpointing", "logger", "plugins",
}  # fmt: skip

# What a solo-learn YAML may carry and means nothing here.
IGNORED = {
    "dali",
    "auto_umap",
    "debug_augmentations",
    "auto_resume.max_hours",
    "knn_eval.distance_func",
    "data.num_classes",
}
# Operations that solo-learn switches by their probability only, although some of its YAMLs say more.
PROB_ONLY = {"color_jitter", "grayscale", "gaussian_blur", "solarization", "equalization", "horizontal_flip"}
IGNORED_METHOD_KWARGS = {"simsiam": {"temperature"}}


def parse_config(raw: DictConfig | Dict[str, Any]) -> Config:
    """A checked :class:`Config` from what a YAML file and overrides say.

    Raises ``InputError`` naming the key, the value and the choices.
    """
    try:
        values = OmegaConf.to_container(OmegaConf.create(raw), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(f"configuration: {str(error).splitlines()[0]}") from error
    _drop_ignored(values)
    own = {f.name for f in fields(Config)} - {"trainer"}
    for key in values:
        if key not in own | TRAINER_KEYS:
            raise unknown("configuration key", key, own | TRAINER_KEYS)
    values["trainer"] = {key: values.pop(key) for key in TRAINER_KEYS - own if key in values}
    values = {key: value for key, value in values.items() if value is not None or key in ("momentum",)}
    config = read_schema(values, Config)
    _check_values(config)
    return config


def read_schema(values: Dict[str, Any], schema: Type[T]) -> T:
    """An instance of the dataclass ``schema``; raises ``InputError`` for unknown keys and wrong types, at any depth."""
    _check_keys(values, schema, "")
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        raise InputError(f"{key} = {_lookup(values, key)!r}: {str(error).splitlines()[0]}") from error


def _check_values(config: Config) -> None:
    METHODS[config.method]
    if not config.augmentations:
        raise InputError("augmentations is missing: a list of pipelines, one for each kind of view")
    for augmentation in config.augmentations:
        check_augmentation(augmentation)
    crops, cls = sum(a.num_crops for a in config.augmentations), METHODS[config.method]
    if crops < 2:
        raise InputError(f"augmentations make {crops} view: at least 2 are needed (num_crops)")
    if not cls.multicrop and crops != 2:
        raise InputError(f"augmentations make {crops} views: method {config.method!r} takes exactly 2")
    first, sizes = config.augmentations[0].crop_size, [a.crop_size for a in config.augmentations]
    large = [size == first for size in sizes]
    if max(sizes) > first or large != sorted(large, reverse=True):
        raise InputError(f"augmentations have crop_size = {', '.join(map(str, sizes))}: the largest must come first")
    precision = str(config.trainer.get("precision"))
    if precision.startswith("64") or precision.endswith("-true") and precision != "32-true":
        raise InputError(f"precision = {precision!r}: choices are 32-true, 16-mixed, bf16-mixed")
    if cls.teacher and config.momentum is None:
        raise InputError(f"momentum is missing: method {config.method!r} has a teacher; set momentum.base_tau")
    at_least = {
        "max_epochs": (config.max_epochs, 1),
        "optimizer.batch_size": (config.optimizer.batch_size, 2),
        "optimizer.lr": (config.optimizer.lr, 0),
        "optimizer.weight_decay": (config.optimizer.weight_decay, 0),
        "scheduler.warmup_epochs": (config.scheduler.warmup_epochs, 0),
        "checkpoint.frequency": (config.checkpoint.frequency, 1),
        "accumulate_grad_batches": (config.accumulate_grad_batches, 1),
        "knn_eval.k": (config.knn_eval.k, 1),
        "data.num_workers": (config.data.num_workers, 0),
    }
    check_numbers(at_least, seed=config.seed)
    choices = {
        "optimizer.name": (config.optimizer.name, ("adam", "adamw", "sgd", "lars")),
        "scheduler.name": (config.scheduler.name, ("warmup_cosine", "step", "none")),
        "scheduler.interval": (config.scheduler.interval, ("step", "epoch")),
        "on_collapse": (config.on_collapse, ("warn", "stop")),
    }
    for key, (value, allowed) in choices.items():
        if value not in allowed:
            raise unknown(key, value, allowed)
    if config.scheduler.name == "step" and not config.scheduler.lr_decay_steps:
        raise InputError("scheduler.lr_decay_steps is missing: scheduler.name = 'step' needs a list of epochs")


def check_numbers(at_least: Dict[str, Tuple[float, float]], *, seed: int) -> None:
    """Raises ``InputError`` for a key whose value is less than it may be, and for a seed that no generator takes."""
    for key, (value, low) in at_least.items():
        if not value >= low:
            raise InputError(f"{key} = {value}: must be at least {low}")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed = {seed}: must be at least 0 and below 2**32")


def _drop_ignored(values: Dict[str, Any]) -> None:
    ignored = IGNORED | {f"method_kwargs.{k}" for k in IGNORED_METHOD_KWARGS.get(values.get("method"), ())}
    dropped = []
    for path in sorted(ignored):
        *parents, key = path.split(".")
        node = values
        for parent in parents:
            node = node.get(parent) or {}
        if isinstance(node, dict) and key in node:
            del node[key]
            dropped.append(path)
    for i, augmentation in enumerate(values.get("augmentations") or []):
        for name, operation in augmentation.items() if isinstance(augmentation, dict) else ():
            if isinstance(operation, dict) and name in PROB_ONLY and "enabled" in operation:
                del operation["enabled"]
                dropped.append(f"augmentations[{i}].{name}.enabled")
    if dropped:
        warnings.warn(f"ignored, they mean nothing here: {', '.join(dropped)}", stacklevel=2)


def _check_keys(values: Any, schema: Any, path: str) -> None:
    """Refuses keys that the dataclass ``schema`` does not have, at any depth."""
    if not isinstance(values, dict):
        raise InputError(f"{path} = {values!r}: must be a mapping of keys to values")
    hints = get_type_hints(schema)
    for key, value in values.items():
        full = f"{path}.{key}" if path else str(key)
        if key not in hints:
            raise unknown(f"key of {path}" if path else "key", key, hints)
        inner = [t for t in (hints[key], *getattr(hints[key], "__args__", ())) if is_dataclass(t)]
        if inner and get_origin(hints[key]) is list:
            if not isinstance(value, list):
                raise InputError(f"{full} = {value!r}: must be a list")
            for i, item in enumerate(value):
                _check_keys(item, inner[0], f"{full}[{i}]")
        elif inner and value is not None:
            _check_keys(value, inner[0], full)


def _lookup(values: Any, path: str) -> Any:
    for part in path.replace("[", ".").replace("]", "").split("."):
        try:
            values = values[int(part) if isinstance(values, list) else part]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return values
