"""One training step of the engine without its Trainer, on any device: what the tests of this folder look at."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import torch
from omegaconf import OmegaConf

from cplearn_solo.config.read import parse_config
from cplearn_solo.data import load_splits
from cplearn_solo.engine.module import Pretrainer, image_statistics

DIGITS = Path(__file__).parents[2] / "scripts/pretrain/digits"
BATCH, STEPS = 16, 10
AUGMENTATION = {  # every operation there is
    "rrc": {"crop_min_scale": 0.6},
    "color_jitter": {"prob": 0.8},
    "grayscale": {"prob": 0.2},
    "gaussian_blur": {"prob": 0.5},
    "solarization": {"prob": 0.2},
    "equalization": {"prob": 0.1},
    "horizontal_flip": {"prob": 0.5},
    "gaussian_noise": {"std": 0.03},
    "crop_size": 8,
    "num_crops": 2,
}
# name of a case -> its method, with the keywords that differ from those of the shipped configuration
VARIANTS = {
    "cplearn, 16,384 codes": ("cplearn", {"proj_output_dim": 16_384}),
    "cplearn, 1,048,576 codes": ("cplearn", {"proj_output_dim": 1_048_576}),
    "cplearn, beta auto": ("cplearn", {"beta": "auto"}),
    "cplearn, a prior": ("cplearn", {"prior": [1 / 64] * 64}),
    "cplearn, a learned prior": ("cplearn", {"prior": "learned"}),
    "cplearn, chunked, beta auto": ("cplearn", {"impl": "chunked", "beta": "auto"}),
    "cplearn, chunked, a prior": ("cplearn", {"impl": "chunked", "prior": [1 / 64] * 64}),
    "cplearn, triton": ("cplearn", {"proj_output_dim": 2048, "impl": "triton"}),
    "swav, a queue": ("swav", {"queue_size": 2 * BATCH, "epoch_queue_starts": 0}),
}
METHODS = sorted({OmegaConf.load(path).method for path in DIGITS.glob("*.yaml")})
CASES = [*METHODS, *(name for name in VARIANTS if name != "cplearn, triton")]  # that a pretended device can run


def configuration(case, **changes):
    """The shipped configuration of a case, small, with every augmentation."""
    method, kwargs = VARIANTS.get(case, (case, {}))
    shipped = OmegaConf.load(DIGITS / f"{method}.yaml")
    small = {
        "method_kwargs": kwargs
        | ({"whitening_size": BATCH, "proj_output_dim": BATCH // 2} if method == "wmse" else {}),
        "backbone": {"kwargs": {"width": 8}},
        "augmentations": [AUGMENTATION],
        "optimizer": {"batch_size": BATCH},
        "scheduler": {"warmup_epochs": 0},
        "auto_resume": {"enabled": False},
        "enable_progress_bar": False,
    }
    return parse_config(OmegaConf.merge(shipped, small, changes))


@cache
def digits():
    return load_splits(parse_config({"augmentations": [AUGMENTATION]}).data, seed=0).train


def new_module(case, **changes):
    torch.manual_seed(0)
    return Pretrainer(configuration(case, **changes), **image_statistics(digits())).train()


class Step:
    """The steps of ``module`` on the device where it lies."""

    def __init__(self, module):
        self.module, self.done = module, 0
        module._trainer = self.trainer = SimpleNamespace(
            train_dataloader=MagicMock(),
            current_epoch=1,
            global_step=0,
            is_last_batch=False,
            world_size=1,
            num_training_batches=STEPS,
            estimated_stepping_batches=STEPS,
            max_epochs=module.config.max_epochs,
            gradient_clip_val=None,
            lr_scheduler_configs=[],
            optimizers=[],
            barebones=False,
        )
        made = module.configure_optimizers()
        self.optimizer = made if isinstance(made, torch.optim.Optimizer) else made[0][0]
        self.trainer.optimizers = [self.optimizer]
        module.on_train_start()
        module.on_train_epoch_start()

    def batch(self):
        """What the loader gives of images that lie on the device."""
        index = torch.arange(self.done * BATCH, (self.done + 1) * BATCH)
        return [part.to(self.module.device) for part in (index, digits().images[index], digits().labels[index])]

    def forward(self, batch):
        """Augmentation, backbone, objective and online probe; the loss."""
        return self.module.training_step(batch, self.done)

    def views(self, crops):
        """What the method sees of augmented images."""
        progress = self.module._progress()
        self.module.method.before_step(progress)
        return self.module.views([crop.to(self.module.device) for crop in crops], progress)

    def backward(self, loss):
        """Gradients, optimizer and teacher."""
        self.optimizer.zero_grad()
        self.module.backward(loss)
        self.module.on_before_optimizer_step(self.optimizer)
        self.optimizer.step()
        self.done += 1
        self.trainer.global_step = self.done
        self.module.on_train_batch_end(loss, None, self.done - 1)
