"""Several gloo processes: online metrics are those of all images, and losses those of the whole batch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.processes import ROOT, python

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.cores import cores
from cplearn_solo.data import eval_loader, load_splits
from cplearn_solo.engine.find import LAST
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.train import pretrain
from cplearn_solo.inference.pretrained import load_pretrained

pytestmark = pytest.mark.distributed

SHARDED_ON_CPUS = hasattr(torch.cpu.Stream, "record_event")  # PyTorch 2.6 has fsdp2 on GPUs only
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
# Trains each of the configurations in turn; processes that hold a queue hold the same one.
PROGRAM = """
import json, sys
import torch, torch.distributed as dist
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.cores import cores
from cplearn_solo.core.distributed import gather, sum_ranks
from cplearn_solo.engine.train import pretrain

for config in json.loads(sys.argv[1]):
    module = pretrain(parse_config(config)).module
    module.encode(torch.zeros(2, 3, 8, 8))  # one process may use it without the others
    method = module.method
    if queue := getattr(method, "queue", None):
        assert queue.full and queue.rows.norm(dim=-1).allclose(torch.ones(()))
        first, second = gather(queue.rows[None])
        assert torch.equal(first, second)

rank, world = dist.get_rank(), dist.get_world_size()
x, weights = (torch.arange(3.0 * world).view(-1, 1)[rank * 3 : rank * 3 + 3] for _ in range(2))
x.requires_grad_()
loss = (gather(x) ** 2 * gather(weights)).sum()
loss.backward()
# all ranks hold the same loss; DDP divides the sum of their gradients by their number
expected = world * 2 * (x * weights).detach()
assert torch.equal(x.grad, expected), (x.grad, expected)
assert sum_ranks(torch.tensor(rank + 1)).item() == world * (world + 1) / 2
dist.barrier()  # a process that ends while its group lives can be aborted by gloo's threads
dist.destroy_process_group()
"""


def train(configs, folder, *, processes=2):
    """Trains ``configs`` one after the other in processes that torchrun starts."""
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", processes, "--standalone")
    script = folder / "program.py"
    script.write_text(PROGRAM)
    done = python(*torchrun, script, json.dumps(configs), cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes(tmp_path):
    """Online metrics are those of all images, each counted once; queues stay equal; sums have the whole's gradient."""
    config = {**CONFIG, "checkpoint": {"dir": str(tmp_path / "runs")}}
    queues = {"swav": {"num_prototypes": 20, "epoch_queue_starts": 0}, "mocov2plus": {}}
    sharded = {**CONFIG, **BYOL, "strategy": "fsdp2", "checkpoint": {"dir": str(tmp_path / "byol")}}
    others = [
        {
            **CONFIG,
            "method": method,
            "method_kwargs": {"proj_hidden_dim": 16, "proj_output_dim": 8, "queue_size": 64, **kwargs},
            "momentum": {"base_tau": 0.9},
            "checkpoint": {"dir": str(tmp_path / method)},
        }
        for method, kwargs in queues.items()
    ]
    train([config, *others, *([sharded] if SHARDED_ON_CPUS else [])], tmp_path)
    if SHARDED_ON_CPUS:
        (run,) = (tmp_path / "byol").glob("*/*")
        assert load_pretrained(run).backbone.conv1.weight.shape == (8, 3, 3, 3)  # whole
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
            feats = module.encode(module.augment.normalise(images))
            hits += (module.classifier(module.features_scale(feats)).argmax(1) == labels).sum().item()
            codes.append(module.method.assign(feats))
    assert len(splits.test) == 101
    assert float(logged["val_acc1"]) == pytest.approx(hits / 101, abs=1e-6)
    assert float(logged["val_codes_used"]) == torch.cat(codes).unique().numel()
    assert float(logged["train_images"]) == 2 * 6 * 16  # six batches a rank
    assert 0 < float(logged["val_knn_acc1"]) <= 1


def write_images(folder, number):
    """PNGs of digits: images in files are augmented by their index, so that ranks do not matter."""
    (folder / "a").mkdir(parents=True)
    for i, image in enumerate(load_splits(parse_config(CONFIG).data, seed=0).train.images[:number]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / "a" / f"{i:03}.png")


def one_batch_an_epoch(folder, name, processes, *, resume=None, strategy="ddp", lr=0.2, **method_kwargs):
    """A run of 20 steps on the 32 images in ``folder``, an epoch being one step."""
    return {
        **CONFIG,
        "devices": processes,
        "strategy": strategy,
        "max_epochs": 20,
        "scheduler": {"warmup_epochs": 1},
        # not Adam, whose first steps make as much of a rounding error as of a gradient; at larger rates the error grows
        "optimizer": {"name": "sgd", "batch_size": 32 // processes, "lr": lr},
        "data": {"dataset": "custom", "train_path": str(folder / "images"), "num_workers": 0},
        "knn_eval": {},
        "augmentations": [{"crop_size": 8, "num_crops": 2, "rrc": {"crop_min_scale": 0.5}}],
        "checkpoint": {"dir": str(folder / "runs" / name), "keep_prev": True},
        "method_kwargs": {"proj_output_dim": 64, "global_prior": True, **method_kwargs},
        "resume_from_checkpoint": str(resume) if resume else None,
    }


BYOL = {
    "method": "byol",
    "method_kwargs": {"proj_hidden_dim": 32, "proj_output_dim": 16, "pred_hidden_dim": 32},
    "momentum": {"base_tau": 0.9},
}


def losses(folder, name):
    """Loss of each step of the run of that name."""
    (run,) = (folder / "runs" / name).glob("*/*")
    assert json.loads((run / "derived.json").read_text())["n"] == 32
    return torch.tensor([row["train_loss"] for row in EpochLog.read(run)], dtype=torch.float64)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder with the images and the run of one process."""
    folder = tmp_path_factory.mktemp("ranks")
    write_images(folder / "images", 32)
    pretrain(parse_config(one_batch_an_epoch(folder, "alone", 1))).run.close()
    pretrain(parse_config(one_batch_an_epoch(folder, "alone-byol", 1, lr=0.02) | BYOL)).run.close()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_the_loss_curve_is_that_of_one_process(alone, processes):
    configs = {
        f"{processes}-parallel": one_batch_an_epoch(
            alone, f"{processes}-parallel", processes, dictionary_parallel=True
        ),
        f"{processes}-whole": one_batch_an_epoch(alone, f"{processes}-whole", processes),
    }
    if processes == 2:
        (checkpoint,) = alone.glob("runs/alone/*/*/checkpoints/epoch=12.ckpt")
        configs["resumed"] = one_batch_an_epoch(alone, "resumed", 2, resume=checkpoint)
    train(list(configs.values()), alone, processes=processes)
    expected = losses(alone, "alone")
    assert expected[-1] < 0.9 * expected[0]
    for name in configs:
        assert (losses(alone, name) - expected).abs().max() < 1e-5, name


@pytest.mark.slow
def test_sharded_networks_learn_what_one_process_learns(alone):
    """Also from its checkpoint on, and back in one process."""
    (checkpoint,) = alone.glob("runs/alone/*/*/checkpoints/epoch=12.ckpt")
    configs = {
        "sharded": one_batch_an_epoch(alone, "sharded", 2, strategy="fsdp2"),
        "sharded-resumed": one_batch_an_epoch(alone, "sharded-resumed", 2, strategy="fsdp2", resume=checkpoint),
        "sharded-byol": one_batch_an_epoch(alone, "sharded-byol", 2, strategy="fsdp2", lr=0.02) | BYOL,
    }
    train(list(configs.values()), alone)
    (checkpoint,) = alone.glob("runs/sharded/*/*/checkpoints/epoch=12.ckpt")
    pretrain(parse_config(one_batch_an_epoch(alone, "back", 1, resume=checkpoint))).run.close()
    for name in (*configs, "back"):
        expected = losses(alone, "alone-byol" if "byol" in name else "alone")
        assert (losses(alone, name) - expected).abs().max() < 1e-5, name
    weights = [
        torch.load(next(alone.glob(f"runs/{name}/*/*/{LAST}")), weights_only=True)
        for name in ("alone-byol", "sharded-byol")
    ]
    for key in ("teacher.0.conv1.weight", "teacher.0.blocks.1.conv2.bias", "teacher.1.layers.0.weight"):
        torch.testing.assert_close(*(each["state_dict"][key] for each in weights), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_a_process_that_dies_is_told_in_a_line(tmp_path):
    """By the first one, which ends as well; nothing is left behind."""
    keys = ["devices=2", "accelerator=cpu", "data.max_train_images=200", "max_epochs=100000", "checkpoint.dir=runs"]
    command = [sys.executable, str(ROOT / "main_pretrain.py"), "--config-name", "cplearn.yaml", *keys]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(tmp_path / "said", "w") as said:
        program = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=said, stderr=said)
    try:
        waited_for(lambda: list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt")), 300)
        (other,) = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        os.kill(int(other), signal.SIGKILL)
        assert program.wait(60) == 2
    finally:
        program.kill()
    said = (tmp_path / "said").read_text()
    killed = "process 1 of the training was killed by signal 9, perhaps for want of memory"
    assert said.splitlines()[-1] == f"pretrain: error: devices = 2: {killed}", said
    assert "Traceback" not in said


def waited_for(there, seconds):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.1)
