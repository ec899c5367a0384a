"""GEDI: clusters that also model the density of images (Sansone & Manhaeve, 2024).

The logits of an image over the clusters give its energy. Training lowers the energy of images and raises that of
samples, which Langevin dynamics draw in pixel space, starting from a replay buffer of earlier samples.

    L = (prior + beta invariance) / 2 + likelihood_weight (mean E(images) - mean E(samples))

E(x) = -log sum_j exp z_j(x), where z are the logits; prior and invariance are the terms of ``gedi_nogen``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cplearn_solo.core.distributed import gather, rank, shared_generator, world_size
from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import without_autocast
from cplearn_solo.losses import energy, langevin
from cplearn_solo.methods.base import METHODS, Views, frozen_statistics
from cplearn_solo.methods.gedi_nogen import GEDINoGen


@METHODS.register("gedi")
class GEDI(GEDINoGen):
    """Arguments of ``gedi_nogen``, and: ``likelihood_weight``: weight of the generative term, which the papers do not
    give. ``sgld_steps``, ``sgld_step_size``, ``sgld_noise``: of the Langevin dynamics on pixels in [-1, 1].
    ``sgld_clamp``: keep samples in that range, which JEM's may leave. ``replay_size``: samples in the replay buffer.
    ``reinit_prob``: probability that a sample starts from noise instead. All other defaults are JEM's, whose input
    noise is ``gaussian_noise`` of the augmentation.

    The replay buffer is on the device of the images, in half precision, whose rounding error is a twentieth of the
    dynamics' noise. It is not a module buffer, because data-parallel training would broadcast it in each step; a
    checkpoint holds it.
    """

    needs_images = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 2048,
        beta: float = 0.1,
        temperature: float = 0.1,
        likelihood_weight: float = 1.0,
        sgld_steps: int = 20,
        sgld_step_size: float = 1.0,
        sgld_noise: float = 0.01,
        sgld_clamp: bool = True,
        replay_size: int = 10_000,
        reinit_prob: float = 0.05,
    ) -> None:
        super().__init__(
            features_dim,
            batch_size=batch_size,
            proj_hidden_dim=proj_hidden_dim,
            proj_output_dim=proj_output_dim,
            beta=beta,
            temperature=temperature,
        )
        require(0 <= reinit_prob <= 1, "method_kwargs.reinit_prob", reinit_prob, "a number from 0 to 1")
        self.likelihood_weight, self.sgld_noise, self.reinit_prob = likelihood_weight, sgld_noise, reinit_prob
        self.sgld = {"steps": sgld_steps, "step_size": sgld_step_size, "clamp": sgld_clamp}
        self.batch_size, self.replay_size = batch_size, replay_size
        self.replay: Tensor | None = None  # (size, c, h, w) from the first step on
        self.check_ranks(1)

    def check_ranks(self, ranks: int) -> None:
        batch = ranks * self.batch_size  # all ranks draw their samples from one buffer
        wanted = f"at least the batch, {batch}{' on all devices' if ranks > 1 else ''}"
        require(self.replay_size >= batch, "method_kwargs.replay_size", self.replay_size, wanted)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """``likelihood``: mean energy of images minus that of samples; its gradient is that of -log likelihood."""
        parts = super().loss(views)
        low, high = views.pixel_range

        def energies(x: Tensor) -> Tensor:
            with frozen_statistics(self.projector):
                return energy(self(views.encode(low + (x + 1) / 2 * (high - low))))

        images = (views.images[0] - low) / (high - low) * 2 - 1
        with without_autocast(images):
            samples = self._sample(energies, images)
            likelihood = energies(images).mean() - energies(samples).mean()
        loss = parts["loss"] + self.likelihood_weight * likelihood
        return {**parts, "loss": loss, "likelihood": likelihood}

    def _sample(self, energies: Any, like: Tensor) -> Tensor:
        """One sample for each row of ``like``. All ranks draw for the whole batch, so they keep the same buffer."""
        n, generator = len(like) * world_size(), shared_generator(like.device)
        mine = slice(rank() * len(like), (rank() + 1) * len(like))
        shape, options = like.shape[1:], {"generator": generator, "device": like.device}
        if self.replay is None:
            self.replay = torch.rand(self.replay_size, *shape, **options).mul(2).sub(1).half()
        self.replay = self.replay.to(like.device)  # from a checkpoint
        chosen = torch.randperm(self.replay_size, **options)[:n]
        fresh = torch.rand(n, 1, 1, 1, **options) < self.reinit_prob
        noise = torch.rand(n, *shape, **options) * 2 - 1
        start = torch.where(fresh, noise, self.replay[chosen].to(noise)).to(like)

        def noises() -> Tensor:
            return self.sgld_noise * torch.randn(n, *shape, **options)[mine].to(like)

        samples = langevin(energies, start[mine], noises, **self.sgld)
        self.replay[chosen] = gather(samples).half()
        return samples

    def get_extra_state(self) -> dict[str, Any]:
        return {} if self.replay is None else {"replay": self.replay.cpu()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.replay = state["replay"].clone() if "replay" in state else None
