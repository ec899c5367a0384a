"""Several gloo processes: online metrics are those of all images, and losses those of the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from cplearn_solo.config.read import parse_config
from cplearn_solo.data import eval_loader, load_splits
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer, image_statistics

ROOT = Path(__file__).parents[2]
CONFIG = {
    "method": "cplearn",
    "method_kwargs": {"proj_output_dim": 64},
    "backbone": {"name": "resnet8", "kwargs": {"width": 8}},
    "augmentations": [{"crop_size": 8, "num_crops": 2}],
    "data": {"max_train_images": 203, "max_val_images": 101},  # odd: the ranks' shares differ
    "optimizer": {"batch_size": 16},
    "knn_eval": {"enabled": True},
    "max_epochs": 1,
    "accelerator": "cpu",
    "devices": 2,
    "strategy": "ddp",
    "enable_progress_bar": False,
    "sync_batchnorm": True,
}
TRAIN = """
import json, sys
import torch.distributed as dist
from cplearn_solo.config.read import parse_config
from cplearn_solo.engine.train import pretrain
pretrain(parse_config(json.loads(sys.argv[1])))
if dist.is_initialized():
    dist.barrier()  # a process that ends while its group lives can be aborted by gloo's threads
    dist.destroy_process_group()
"""
GATHER = """
import torch, torch.distributed as dist
from cplearn_solo.core.distributed import gather, sum_ranks
dist.init_process_group("gloo")
rank = dist.get_rank()
x = torch.arange(6.0).view(6, 1)[rank * 3 : rank * 3 + 3].requires_grad_()
weights = torch.arange(6.0).view(6, 1)
loss = (gather(x) ** 2 * weights).sum()
loss.backward()
# both ranks hold the same loss; DDP divides the sum of their gradients by two
expected = 2 * 2 * (x * weights[rank * 3 : rank * 3 + 3]).detach()
assert torch.equal(x.grad, expected), (x.grad, expected)
assert sum_ranks(torch.tensor(rank + 1)).item() == 3
dist.barrier()
dist.destroy_process_group()
"""


def launch(program, *arguments, cwd, processes=2):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    script = cwd / "program.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*torchrun, "--standalone", str(script), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_online_metrics_cover_all_images_once(tmp_path):
    config = {**CONFIG, "checkpoint": {"dir": str(tmp_path / "runs")}}
    launch(TRAIN, json.dumps(config), cwd=tmp_path)
    (run,) = (tmp_path / "runs").glob("*/*")
    header, row = ((run / "metrics.csv").read_text()).splitlines()
    logged = dict(zip(header.split(","), row.split(","), strict=True))

    parsed = parse_config(config)
    splits = load_splits(parsed.data, seed=parsed.seed)
    module = Pretrainer(parsed, **image_statistics(splits.train))
    module.load_state_dict(torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"])
    module.eval()
    hits, codes = 0, []
    with torch.no_grad():
        for _, images, labels in eval_loader(splits.test, crop_size=8, batch_size=101, num_workers=0):
            feats = module.encode(images)
            hits += (module.classifier(feats).argmax(1) == labels).sum().item()
            codes.append(module.method.assign(feats))
    assert len(splits.test) == 101
    assert float(logged["val_acc1"]) == pytest.approx(hits / 101, abs=1e-6)
    assert float(logged["val_codes_used"]) == torch.cat(codes).unique().numel()
    assert float(logged["train_images"]) == 2 * 6 * 16  # six batches a rank
    assert 0 < float(logged["val_knn_acc1"]) <= 1


def test_gather_has_the_gradient_of_the_whole_batch(tmp_path):
    launch(GATHER, cwd=tmp_path)


def write_images(folder, number):
    """PNGs of digits: images in files are augmented by their index, so that ranks do not matter."""
    (folder / "a").mkdir(parents=True)
    for i, image in enumerate(load_splits(parse_config(CONFIG).data, seed=0).train.images[:number]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / "a" / f"{i:03}.png")


def losses(folder, processes, *, resume=None, **method_kwargs):
    """Loss of each of 20 steps on 32 images in ``processes`` processes, an epoch being one step; and the run."""
    config = {**CONFIG, "max_epochs": 20, "devices": processes, "scheduler": {"warmup_epochs": 1}}
    # not Adam, whose first steps make as much of a rounding error as of a gradient
    config |= {"optimizer": {"name": "sgd", "batch_size": 32 // processes, "lr": 0.4}}
    config |= {"data": {"dataset": "custom", "train_path": str(folder / "images"), "num_workers": 0}, "knn_eval": {}}
    config |= {"augmentations": [{"crop_size": 8, "num_crops": 2, "rrc": {"crop_min_scale": 0.5}}]}
    config |= {"checkpoint": {"dir": str(folder / f"runs{len(list(folder.iterdir()))}"), "keep_prev": True}}
    config |= {"method_kwargs": {"proj_output_dim": 64, "global_prior": True, **method_kwargs}}
    config |= {"resume_from_checkpoint": str(resume) if resume else None}
    (folder / "work").mkdir(exist_ok=True)
    launch(TRAIN, json.dumps(config), cwd=folder / "work", processes=processes)
    (run,) = Path(config["checkpoint"]["dir"]).glob("*/*")
    assert json.loads((run / "derived.json").read_text())["n"] == 32
    return torch.tensor([row["train_loss"] for row in EpochLog.read(run)], dtype=torch.float64), run


@pytest.mark.slow
@pytest.mark.parametrize("processes, parallel", [(2, True), (2, False), (4, True), (4, False)])
def test_the_loss_curve_is_that_of_one_process(tmp_path, processes, parallel):
    write_images(tmp_path / "images", 32)
    alone, run = losses(tmp_path, 1)
    assert alone[-1] < 0.9 * alone[0]
    together, _ = losses(tmp_path, processes, dictionary_parallel=parallel)
    assert (together - alone).abs().max() < 1e-5, together - alone
    if parallel and processes == 2:
        resumed, _ = losses(tmp_path, 2, resume=run / "checkpoints/epoch=12.ckpt", global_prior=True)
        assert (resumed - alone).abs().max() < 1e-5, resumed - alone
