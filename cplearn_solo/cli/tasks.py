"""What the programs do and print once their configuration is composed.

Each reads its configuration before it imports what does the work, which takes seconds: a mistake is told at once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from cplearn_solo.config.evaluation import ClusteringConfig, EvalConfig, KNNConfig, LinearConfig
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.read_evaluation import parse_evaluation
from cplearn_solo.data.checks import check_data
from cplearn_solo.data.schema import RGB

if TYPE_CHECKING:
    from cplearn_solo.inference.pretrained import Pretrained


def pretrain_task(raw: DictConfig) -> None:
    """Trains, scores the frozen backbone, writes ``summary.json`` and says what to do next."""
    config = parse_config(raw)
    check_data(config.data)

    from lightning.pytorch.utilities import rank_zero_only
    from rich.console import Console

    from cplearn_solo.cli.report import print_scores
    from cplearn_solo.engine.train import pretrain
    from cplearn_solo.evaluation.summary import summarize

    trained = pretrain(config)
    if rank_zero_only.rank != 0:
        return
    run = trained.run.path
    try:
        print("training done; evaluating the frozen backbone", flush=True)
        with Console().status("features, linear probes, nearest neighbours, clustering", spinner="line"):
            summary, verdict = summarize(trained)
        trained.run.write_json("summary.json", summary)
    finally:
        trained.run.close()
    if "scored_on" not in summary:
        needed = "no labels" if config.data.no_labels else "no held-out images: set data.val_path or data.val_split"
        print(f"{needed}, so no scores")
    print_scores(f"{run}", {name: value for name, value in summary.items() if name != "verdict_reason"})
    if verdict:
        print(verdict.message)
    if not config.checkpoint.enabled:
        return
    print("\nnext:")
    for command in ("linear", "knn", "clustering"):
        print(f"  cplearn {command} pretrained={run}")
    print(f"  cplearn collapse {run}")
    print(f"  cplearn export {run} backbone.pt")


def evaluation_task(raw: DictConfig, *, schema: type[EvalConfig]) -> None:
    """Prints the scores of a run, of the kind that ``schema`` configures, and adds them to its records."""
    config = parse_evaluation(raw, schema)

    from rich.progress import Progress

    from cplearn_solo.cli.report import print_scores
    from cplearn_solo.evaluation.programs import evaluate

    with Progress(transient=True) as bar:
        probe = bar.add_task("linear probe", visible=False)
        show = partial(bar.update, probe, visible=True)
        found = evaluate(config, progress=lambda done, total: show(completed=done, total=total))
    print_scores(str(config.pretrained), found.scores)
    if found.record:
        print(f"added to {found.record}")


def export_task(pretrained: str, file: str) -> None:
    """Writes the backbone's state dict to ``file`` and says how to load it."""
    from cplearn_solo.inference.export import export_backbone

    model = export_backbone(pretrained, file)
    weights = model.backbone.state_dict()
    size = sum(value.numel() for value in weights.values())
    print(f"{file}: {len(weights)} tensors, {size:,} numbers, of {model.config.backbone.name}")
    print(f"images: {model.config.augmentations[0].crop_size} pixels, mean {model.mean}, std {model.std}")
    print(f"{_empty_backbone(model)}\nmodel.load_state_dict(torch.load({file!r}, weights_only=True))")


def _empty_backbone(model: Pretrained) -> str:
    """Python that makes a backbone for the weights."""
    backbone, size = model.config.backbone, model.config.augmentations[0].crop_size
    channels = {} if model.config.data.channels == RGB else {"image_channels": model.config.data.channels}
    kwargs = "".join(f", {key}={value!r}" for key, value in (channels | backbone.kwargs).items())
    return (
        "from cplearn_solo.backbones import build_backbone\n"
        f"model = build_backbone({backbone.name!r}, crop_size={size}{kwargs})"
    )


TASKS = {
    "pretrain": pretrain_task,
    "linear": partial(evaluation_task, schema=LinearConfig),
    "knn": partial(evaluation_task, schema=KNNConfig),
    "clustering": partial(evaluation_task, schema=ClusteringConfig),
}
