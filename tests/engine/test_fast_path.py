"""What the engine does for speed changes nothing that is learned."""

import platform
import subprocess
import sys

import pytest
import torch
from lightning import seed_everything
from omegaconf import OmegaConf

from cplearn_solo import load_backbone
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import load_splits, step_generator, train_loader
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.optim import build_scheduler
from cplearn_solo.engine.train import pretrain
from cplearn_solo.losses import cplearn_loss
from cplearn_solo.methods.cplearn import CPLearn

pytestmark = pytest.mark.integration

EPOCHS = 4
SMALL_RESNET = {"name": "timm/resnet10t", "kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8}}


def tiny(tmp_path, backbone, **changes):
    view = {"crop_size": 8, "num_crops": 2, "rrc": {"crop_min_scale": 0.6}, "color_jitter": {"prob": 0.8}}
    small = {
        "method_kwargs": {"proj_hidden_dim": 32, "proj_output_dim": 48},
        "backbone": backbone,
        "augmentations": [view],
        "data": {"max_train_images": 160, "num_workers": 0},
        "optimizer": {"batch_size": 32, "weight_decay": 1e-4},
        "scheduler": {"warmup_epochs": 1},
        "max_epochs": EPOCHS,
        "checkpoint": {"dir": str(tmp_path)},
        "enable_progress_bar": False,
        "accelerator": "cpu",
    }
    return parse_config(OmegaConf.merge(small, changes))


def engine_losses(config, monkeypatch):
    """CPLearn's loss at every step of the engine."""
    losses, loss = [], CPLearn.loss

    def recorded(self, views):
        parts = loss(self, views)
        losses.append(parts["loss"].item())
        return parts

    with monkeypatch.context() as context:
        context.setattr(CPLearn, "loss", recorded)
        pretrain(config).run.close()
    return torch.tensor(losses)


def plain_losses(config):
    """The same of a plain loop: a call a view, contiguous, all logits, automatic differentiation, an unfused Adam."""
    seed_everything(config.seed, verbose=False)
    splits = load_splits(config.data, seed=config.seed)
    module = Pretrainer(config, **image_statistics(splits.train))
    backbone, method = module.backbone.to(memory_format=torch.contiguous_format), module.method
    loader = train_loader(splits.train, config.augmentations, batch_size=32, num_workers=0, seed=config.seed)
    parameters = [*backbone.parameters(), *method.parameters()]
    settings = config.optimizer
    optimizer = torch.optim.Adam(parameters, lr=settings.lr * 32 / 256, weight_decay=settings.weight_decay)
    schedule = build_scheduler(optimizer, config.scheduler, epochs=EPOCHS, steps=EPOCHS * len(loader))
    losses = []
    for epoch in range(EPOCHS):
        loader.batch_sampler.set_epoch(epoch)
        for step, (_, images, _) in enumerate(loader):
            views = module.augment(images, step_generator(config.seed, epoch, step))
            logits = [method(backbone(view.contiguous())) for view in views]
            loss = cplearn_loss(*logits, beta=method.beta, prior_loss=method.prior_loss).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    return torch.tensor(losses)


@pytest.mark.parametrize("backbone", [{"name": "resnet8", "kwargs": {"width": 8}}, SMALL_RESNET])
def test_the_loss_curve_is_that_of_a_plain_loop(backbone, tmp_path, monkeypatch):
    """One call for both views, channels-last, fused optimizer, tiled objective; with BatchNorm and without."""
    config = tiny(tmp_path, backbone)
    fast, plain = engine_losses(config, monkeypatch), plain_losses(config)
    assert len(fast) == EPOCHS * 5 and fast.std() > 0.01  # there is a curve to compare
    torch.testing.assert_close(fast, plain, rtol=1e-3, atol=0)


@pytest.mark.parametrize(("backbone", "calls"), [("resnet8", 1), ("resnet18", 2)])
def test_views_share_a_call_where_no_statistic_changes_by_it(backbone, calls, tmp_path, monkeypatch):
    module = Pretrainer(tiny(tmp_path, {"name": backbone}), num_classes=10, mean=[0.5] * 3, std=[0.5] * 3)
    seen = []
    monkeypatch.setattr(module, "encode", lambda x: seen.append(len(x)) or module.backbone(x))
    crops = [torch.randn(4, 3, 8, 8) for _ in range(2)]
    feats = module._encode_crops(crops)
    assert len(seen) == calls
    for f, crop in zip(feats, crops, strict=True):
        torch.testing.assert_close(f, module.backbone(crop), rtol=1e-3, atol=1e-5)


def test_compile_without_a_compiler_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="performance.compile = True: no compiler 'no-such-compiler' was found"):
        pretrain(tiny(tmp_path, {"name": "resnet8"}, performance={"compile": True}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_compiled_run_learns_the_same(tmp_path, monkeypatch):
    backbone = {"name": "resnet8", "kwargs": {"width": 8}}
    plain = engine_losses(tiny(tmp_path / "plain", backbone), monkeypatch)
    compiled = engine_losses(tiny(tmp_path / "compiled", backbone, performance={"compile": True}), monkeypatch)
    torch.testing.assert_close(compiled, plain, rtol=1e-3, atol=0)
    (run,) = (tmp_path / "compiled").glob("*/*")
    assert load_backbone(run).num_features == 8


FAULTS = """
import resource
from cplearn_solo.engine.allocator import keep_freed_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"1" * (64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fresh = [pages() for _ in range(10)]
keep_freed_memory()
kept = [pages() for _ in range(40)][20:]
print(min(fresh), max(kept))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_freed_memory_is_kept():
    """By itself glibc gives blocks above 32 MB back at once; kept ones have settled after a few rounds."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    fresh, kept = map(int, done.stdout.split())
    assert kept < fresh / 100
