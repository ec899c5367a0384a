"""LARS with a number of kernel launches that hardly depends on the number of parameters (You et al., 2017).

timm's implementation, which makes the same updates, multiplies each parameter's gradient by its own rate, with one
launch per parameter. Here the gradients of a group lie in one buffer, which a single multiplication scales.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from cplearn_solo.core.errors import require


class LARS(Optimizer):
    """SGD in which each parameter w of a group with weight decay has the rate lr times its trust ratio
    ``trust_coeff * |w| / (|gradient| + weight_decay * |w| + eps)``, or 1 where a norm is zero.

    ``trust_clip`` caps that rate at ``lr`` (LARC). ``always_adapt`` adapts groups without weight decay, too. A group's
    ``lr`` may be a scalar on the device of its parameters.
    """

    def __init__(
        self,
        params: Any,
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        trust_coeff: float = 1e-3,
        eps: float = 1e-8,
        trust_clip: bool = False,
        always_adapt: bool = False,
    ) -> None:
        require(not nesterov or momentum > 0, "momentum", momentum, "greater than 0 with nesterov")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "trust_coeff": trust_coeff,
            "eps": eps,
            "trust_clip": trust_clip,
            "always_adapt": always_adapt,
        }
        super().__init__(params, defaults)
        self._owners: dict[tuple[int, ...], Tensor] = {}  # by the ids of a group's parameters

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._owners = {}  # a copy has parameters of its own

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update; ``closure``, if there is one, computes the loss again and returns it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._update(params, group)
        return loss

    def _update(self, params: list[Tensor], group: dict[str, Any]) -> None:
        grads = [p.grad for p in params]
        if group["weight_decay"] or group["always_adapt"]:
            grads = self._adapted(params, grads, group)
        if group["momentum"]:
            grads = self._with_momentum(params, grads, group)
        rate = group["lr"]
        if isinstance(rate, Tensor):  # in a captured step, where the program cannot read it
            torch._foreach_sub_(params, torch._foreach_mul(grads, rate))
        else:
            torch._foreach_add_(params, grads, alpha=-rate)

    def _adapted(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """Gradients with weight decay, each times its trust ratio."""
        decay = group["weight_decay"]
        weight_norms, grad_norms = torch.stack(torch._foreach_norm(params)), torch.stack(torch._foreach_norm(grads))
        ratios = group["trust_coeff"] * weight_norms / (grad_norms + weight_norms * decay + group["eps"])
        ratios = torch.where((weight_norms > 0) & (grad_norms > 0), ratios, 1.0)
        if group["trust_clip"]:
            ratios = torch.clamp(ratios / group["lr"], max=1.0)
        buffer, views = _one_buffer(params)
        torch._foreach_copy_(views, grads)
        torch._foreach_add_(views, params, alpha=decay)
        buffer.mul_(ratios.index_select(0, self._owner(params)))
        return views

    def _owner(self, params: list[Tensor]) -> Tensor:
        """For each entry in the buffer of ``params`` the index of its parameter; kept, since a GPU would wait."""
        key = tuple(map(id, params))
        if key not in self._owners:
            sizes = torch.tensor([p.numel() for p in params])
            owner = torch.arange(len(params), dtype=torch.int32).repeat_interleave(sizes)
            self._owners[key] = owner.to(params[0].device)
        return self._owners[key]

    def _with_momentum(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """The momentum buffers after this step, or with Nesterov's momentum the gradients plus ``momentum`` of them."""
        states = [self.state[p] for p in params]
        for state, grad in zip(states, grads):
            if "momentum_buffer" not in state:  # so that it becomes the gradient itself
                state["momentum_buffer"] = torch.zeros_like(grad)
        buffers = [state["momentum_buffer"] for state in states]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, grads)
        return torch._foreach_add(grads, buffers, alpha=group["momentum"]) if group["nesterov"] else buffers


def _one_buffer(params: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """A flat tensor that holds all of ``params``, and views of it with their shapes and strides."""
    buffer = params[0].new_empty(sum(p.numel() for p in params))
    starts = [0]
    for p in params:
        starts.append(starts[-1] + p.numel())
    return buffer, [buffer.as_strided(p.size(), p.stride(), start) for p, start in zip(params, starts)]
