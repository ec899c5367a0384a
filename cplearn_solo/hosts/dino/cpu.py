"""DINO on a machine without CUDA, for smoke runs of one process."""

from __future__ import annotations

import argparse
import os
from types import ModuleType

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cplearn_solo.core.errors import require


def stay_on_cpu(utils: ModuleType) -> None:
    """Makes DINO's CUDA calls do nothing in this whole process, and its process group work without a network."""
    processes = os.environ.get("WORLD_SIZE", "1")
    require(processes == "1", "WORLD_SIZE", processes, "1 with --device cpu, which runs one process")
    torch.Tensor.cuda = nn.Module.cuda = lambda self, *_, **__: self
    torch.cuda.synchronize = lambda *_: None
    nn.parallel.DistributedDataParallel = lambda module, device_ids: DistributedDataParallel(module)
    utils.init_distributed_mode = _one_process
    utils.SmoothedValue.synchronize_between_processes = lambda self: None


def _one_process(args: argparse.Namespace) -> None:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    args.rank, args.world_size, args.gpu = 0, 1, None
