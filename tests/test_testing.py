"""check_method passes every method on its shipped configuration, and sees each kind of mistake."""

import pytest
import torch
from lightly.models.modules.heads import SimCLRProjectionHead
from support.configs import DIGITS, shipped
from torch import nn

from cplearn_solo.methods import METHODS, Method
from cplearn_solo.testing import Case, TrainingLoop, check_method

pytestmark = pytest.mark.distributed

QUICK = ("cplearn", "byol")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in DIGITS if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_every_shipped_method(name):
    config = shipped(name)
    check_method(config["method"], config["method_kwargs"])


@pytest.mark.slow
def test_swav_with_a_queue():
    """Of two global batches, so that the third step shares its codes with it."""
    check_method("swav", {"proj_hidden_dim": 64, "num_prototypes": 50, "queue_size": 256, "epoch_queue_starts": 1})


@pytest.mark.slow
def test_cplearn_with_the_mean_assignment_of_all_devices():
    check_method("cplearn", {"global_prior": True})


def test_every_method_is_shipped():
    methods = {shipped(name)["method"] for name in DIGITS}
    ours = {name for name, method in METHODS.items() if method.__module__.startswith("cplearn_solo.")}
    assert ours == methods


@METHODS.register("test_good")
class Good(Method):
    """Pulls two views together and away from zero; keeps all promises, sample by sample."""

    def __init__(self, features_dim, *, batch_size):
        super().__init__(features_dim, batch_size=batch_size)
        self.projector = SimCLRProjectionHead(features_dim, 16, 8, batch_norm=False)

    def loss(self, views):
        z1, z2 = (self.projector(feats) for feats in views.feats)
        return {"loss": (z1 - z2).square().mean() + (1 - z1.square().mean(dim=1)).square().mean()}


@METHODS.register("test_scalar")
class NotScalar(Good):
    def loss(self, views):
        return {**super().loss(views), "part": torch.zeros(3)}


@METHODS.register("test_embed")
class WrongShape(Good):
    def embed(self, feats):
        return self.projector(feats).flatten()


@METHODS.register("test_detached")
class Detached(Good):
    def loss(self, views):
        z1, z2 = (self.projector(feats.detach()) for feats in views.feats)
        return {"loss": (z1 - z2).square().mean()}


@METHODS.register("test_unused")
class Unused(Good):
    def __init__(self, features_dim, *, batch_size):
        super().__init__(features_dim, batch_size=batch_size)
        self.predictor = nn.Linear(8, 8)


@METHODS.register("test_ungrouped")
class Ungrouped(Good):
    def param_groups(self):
        return [{"params": list(self.projector.parameters())[:1]}]


@METHODS.register("test_half")
class Half(Good):
    """Infinite where the projector's output is coarser than float32."""

    def loss(self, views):
        z = self.projector(views.feats[0])
        return {"loss": super().loss(views)["loss"] / torch.tensor(1e-3 - torch.finfo(z.dtype).eps).relu()}


@METHODS.register("test_state")
class Forgets(Good):
    """A running mean that no checkpoint holds."""

    mean = 0.0

    def loss(self, views):
        z1, z2 = (self.projector(feats) for feats in views.feats)
        self.mean = 0.5 * self.mean + 0.5 * z1.mean().item()
        return {"loss": (z1 - z2).square().mean() + (z1 - 1 - self.mean).square().mean()}


@METHODS.register("test_ranks")
class PerRank(Good):
    """The square of a mean over the samples of one process."""

    def loss(self, views):
        z1, z2 = (self.projector(feats) for feats in views.feats)
        return {"loss": (z1 - z2).square().mean() + (1 - z1.mean()).square()}


@METHODS.register("test_rises")
class Rises(Good):
    def loss(self, views):
        value = super().loss(views)["loss"]
        return {"loss": value.detach() * 2 - value}


def test_a_good_method_passes():
    check_method("test_good")


@pytest.mark.parametrize(
    "name, words",
    [
        ("test_scalar", "part 'part' of the loss has shape"),
        ("test_embed", "embed\\(\\) of 1 samples has shape"),
        ("test_detached", "no gradient reaches backbone"),
        ("test_unused", "no gradient reaches method.predictor.weight"),
        ("test_ungrouped", "is in no group of param_groups"),
        ("test_half", "in bfloat16 mixed precision the loss"),
        ("test_state", "after saving and loading"),
        ("test_ranks", "two processes have loss"),
        ("test_rises", "on digits"),
    ],
)
def test_mistakes_are_seen(name, words):
    with pytest.raises(AssertionError, match=words):
        check_method(name)


def test_vicreg_without_its_variance_term_collapses_to_a_point():
    """The collapse that its configuration on digits announces; with the term, embeddings spread."""
    spread = {}
    for weight in (0.0, 25.0):
        kwargs = {"proj_hidden_dim": 64, "proj_output_dim": 64, "var_loss_weight": weight}
        loop = TrainingLoop(Case("vicreg", kwargs, 64))
        for step in range(150):
            loop.train(step)
        with torch.no_grad():
            feats = loop.module.encode(torch.cat(loop.crops(999, 200)))
            spread[weight] = loop.method.embed(feats).std(dim=0).mean().item()
    assert spread[0.0] < 0.02 and spread[25.0] > 0.5
