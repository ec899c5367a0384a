"""``strategy=fsdp2``: the weights of backbone and teacher and their optimizer states are sharded over all processes.

Everything above the backbone is small and used in many ways, so each process keeps all of it, as in DDP.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn

from cplearn_solo.core.distributed import sum_ranks, world_size


class ShardedStrategy(ModelParallelStrategy):
    """FSDP2 over all processes; checkpoints are the same as those of a single process."""

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def split(self, module: nn.Module, networks: list[nn.Module]) -> None:
        """Splits the parameters of ``networks``, which are parts of ``module``, over all processes."""
        from torch.distributed.fsdp import fully_shard  # here, since this import takes a second

        if self._layer_sync is not None:
            self._layer_sync.apply(module)
        for network in networks:
            network.to(memory_format=torch.contiguous_format)  # other layouts cannot be split
            for part in [*_blocks(network), network]:
                # also after evaluation, where no backward pass follows
                fully_shard(part, mesh=self.device_mesh["data_parallel"], reshard_after_forward=True)

    def whole_state(self) -> dict[str, Tensor]:
        """The full state dict of the trained module, on every process; all processes have to call this."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        return get_model_state_dict(self.model, options=StateDictOptions(full_state_dict=True))

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Loads weights and optimizer states from the checkpoint of a single process; each process keeps its shard.

        Lightning's own method loses state that is no tensor, such as a dictionary's seed.
        """
        checkpoint = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
        module = self.lightning_module
        ours = module.state_dict()
        module.load_state_dict({name: _like(ours.get(name), value) for name, value in checkpoint["state_dict"].items()})
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"]):
            params = [p for group in optimizer.param_groups for p in group["params"]]
            numbers = [number for group in saved["param_groups"] for number in group["params"]]
            state = {
                number: {key: _like(p, value) for key, value in saved["state"][number].items()}
                for p, number in zip(params, numbers)
                if number in saved["state"]
            }
            groups = [{**group, "fused": False} for group in saved["param_groups"]]  # none takes split tensors
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        return checkpoint


def _like(ours: Any, value: Any) -> Any:
    """``value`` split like ``ours`` if both are tensors of one shape and ``ours`` is split, otherwise unchanged."""
    from torch.distributed.tensor import distribute_tensor

    if not hasattr(ours, "to_local") or not isinstance(value, Tensor) or value.shape != ours.shape:
        return value
    return distribute_tensor(value.to(ours.device), ours.device_mesh, ours.placements)


def _blocks(network: nn.Module) -> list[nn.Module]:
    """The parts of a network that are gathered one at a time for their use: the modules in its outermost lists."""
    blocks: list[nn.Module] = []
    for child in network.children():
        blocks += child if isinstance(child, (nn.ModuleList, nn.Sequential)) else _blocks(child)
    return [block for block in blocks if next(block.parameters(), None) is not None]


def local(parameter: Tensor) -> Tensor:
    """This process's shard of a parameter: all of it unless it is sharded."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Averages the gradients of unsharded parameters over processes; FSDP2 does so for sharded ones."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if grads:
        flat = sum_ranks(torch.cat([grad.flatten() for grad in grads])) / world_size()
        parts = flat.split([grad.numel() for grad in grads])
        torch._foreach_copy_(grads, [part.view_as(grad) for part, grad in zip(parts, grads)])
