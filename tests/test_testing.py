"""check_method passes every method on its shipped configuration, and sees each kind of mistake."""

import multiprocessing
import sys
from types import ModuleType

import pytest
import torch
from lightly.models.modules.heads import SimCLRProjectionHead
from support.configs import DIGITS, shipped
from torch import nn

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods import METHODS, Method, ReportMeasure, method_facts
from cplearn_solo.methods.remedy import raise_to
from cplearn_solo.testing import check_method
from cplearn_solo.testing.loop import Case, TrainingLoop
from cplearn_solo.testing.promises import check_shapes
from cplearn_solo.testing.two_processes import check_two_processes

pytestmark = pytest.mark.distributed

QUICK = ("cplearn", "byol")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in DIGITS if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_every_shipped_method(name):
    config = shipped(name)
    check_method(config["method"], config["method_kwargs"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DIGITS if method_facts(shipped(name)["method"]).multicrop])
def test_every_shipped_method_of_more_crops(name):
    config = shipped(name)
    check_method(config["method"], config["method_kwargs"], num_crops=(2, 2))


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


@METHODS.register("test_number")
class Number(Good):
    def loss(self, views):
        return {**super().loss(views), "weight": 0.5}


@METHODS.register("test_tensor")
class OnlyTheLoss(Good):
    def loss(self, views):
        return super().loss(views)["loss"]


@METHODS.register("test_no_gradient")
class NoGradient(Good):
    def loss(self, views):
        return {"loss": super().loss(views)["loss"].detach()}


@METHODS.register("test_complex")
class Complex(Good):
    def loss(self, views):
        return {"loss": super().loss(views)["loss"] * (1 + 0j)}


@METHODS.register("test_unnamed")
class Unnamed(Good):
    def loss(self, views):
        return {**super().loss(views), 3: torch.zeros(())}


@METHODS.register("test_later")
class NotFiniteLater(Good):
    """Its loss is not a number from the fifth batch on, which its state counts."""

    def __init__(self, features_dim, *, batch_size):
        super().__init__(features_dim, batch_size=batch_size)
        self.register_buffer("steps", torch.zeros(()))

    def loss(self, views):
        self.steps += 1
        return {"loss": super().loss(views)["loss"] / (self.steps < 5)}


@METHODS.register("test_uncounted")
class Uncounted(Good):
    def loss(self, views):
        return {**super().loss(views), "codes": torch.zeros(len(views.feats[0]), dtype=torch.int64)}


@METHODS.register("test_short_codes")
class ShortCodes(Good):
    codes_total = 256

    def assign(self, feats):
        return self.embed(feats).argmax(dim=1).int()


@METHODS.register("test_advice")
class NoTuple(Good):
    advice = {"spread": raise_to(1.0, "beta", "it is low")}


@METHODS.register("test_measure")
class NoMeasure(Good):
    advice = {"spreed": (raise_to(1.0, "beta", "it is low"),)}


@METHODS.register("test_row")
class NoNumber(Good):
    def report_measures(self):
        return [ReportMeasure("Mine", "norm", "", lambda embeddings, codes, last: embeddings.norm(dim=1))]


@METHODS.register("test_twice")
class InTwoGroups(Good):
    def param_groups(self):
        return [*super().param_groups(), {"params": list(self.projector.parameters())[:1]}]


@METHODS.register("test_grows")
class Grows(Good):
    """A queue that is longer than the one that a checkpoint is loaded into."""

    def __init__(self, features_dim, *, batch_size):
        super().__init__(features_dim, batch_size=batch_size)
        self.register_buffer("queue", torch.zeros(0, 8))

    def loss(self, views):
        self.queue = torch.cat([self.queue, self.projector(views.feats[0]).detach()])
        return super().loss(views)


@METHODS.register("test_hashes")
class Hashes(Good):
    """Codes are the signs of embeddings, of which no score says the probability."""

    codes_total = 256

    def assign(self, feats):
        return ((self.embed(feats) > 0) * 2 ** torch.arange(8)).sum(dim=1)


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


@METHODS.register("test_kept")
class KeepsGraph(Good):
    def loss(self, views):
        self.latest = self.projector(views.feats[0])
        return super().loss(views)


@METHODS.register("test_ranks")
class PerRank(Good):
    """The square of a mean over the samples of one process."""

    def loss(self, views):
        z1, z2 = (self.projector(feats) for feats in views.feats)
        return {"loss": (z1 - z2).square().mean() + (1 - z1.mean()).square()}


@METHODS.register("test_float32")
class OnlyFloat32(Good):
    def loss(self, views):
        if views.feats[0].dtype == torch.float64:
            raise TypeError("float32 only")
        return super().loss(views)


@METHODS.register("test_remembers")
class Remembers(Good):
    """Each device pulls its embeddings towards the mean of its latest batch."""

    loss_scope = "device"

    def __init__(self, features_dim, *, batch_size):
        super().__init__(features_dim, batch_size=batch_size)
        self.register_buffer("mean", torch.zeros(8))

    def loss(self, views):
        z = self.projector(views.feats[0])
        pull = (z - self.mean).square().mean()
        self.mean = z.detach().mean(dim=0)
        return {"loss": super().loss(views)["loss"] + pull}


@METHODS.register("test_crops")
class SmallCrops(Good):
    """Small crops predict the mean of the large ones."""

    multicrop = True

    def __init__(self, features_dim, *, batch_size):
        super().__init__(features_dim, batch_size=batch_size)
        self.predictor = nn.Linear(8, 8)

    def loss(self, views):
        z = [self.projector(feats) for feats in views.feats]
        large, small = z[: views.n_large], z[views.n_large :]
        spread = sum((1 - x.square().mean(dim=1)).square().mean() for x in z)
        return {"loss": spread + sum((self.predictor(x) - sum(large) / 2).square().mean() for x in small)}


@METHODS.register("test_rises")
class Rises(Good):
    def loss(self, views):
        value = super().loss(views)["loss"]
        return {"loss": value.detach() * 2 - value}


def test_a_good_method_passes():
    check_method("test_good")


def test_a_method_of_more_crops_is_checked_with_them():
    check_method("test_crops", num_crops=(2, 1))
    with pytest.raises(AssertionError, match="no gradient reaches method.predictor"):
        check_method("test_crops")
    with pytest.raises(
        InputError, match=r"num_crops = \[2, 1\]: must be exactly 2 views in all for method 'test_good'"
    ):
        check_method("test_good", num_crops=(2, 1))


def test_codes_without_scores_are_assigned_with_certainty():
    check_shapes(Case("test_hashes", {}, 64))


@pytest.mark.parametrize(
    "name, words",
    [
        ("test_scalar", "part 'part' of the loss has shape"),
        ("test_number", "part 'weight' of the loss is a float: must be a tensor"),
        ("test_tensor", "gives a Tensor: must be a dict"),
        ("test_no_gradient", "method 'test_no_gradient': the loss has no gradient"),
        ("test_complex", "part 'loss' of the loss is complex: must be a real number"),
        ("test_unnamed", "part 3 of the loss: must have text as its name"),
        ("test_later", "at step 4 the loss is inf"),
        ("test_uncounted", "loss\\(\\) gives codes, and codes_total is None"),
        ("test_short_codes", "assign\\(\\) gives codes of shape \\(1,\\) and torch.int32"),
        ("test_advice", "advice for 'spread' is .*: must be a tuple of Remedy"),
        ("test_measure", "advice for 'spreed': must be for code_use"),
        ("test_row", "row 'norm' of the report is tensor"),
        ("test_twice", "a parameter is in two groups"),
        ("test_grows", "what is saved after 3 steps cannot be loaded: .*size mismatch for method.queue"),
        ("test_embed", "embed\\(\\) of 1 samples has shape"),
        ("test_detached", "no gradient reaches backbone"),
        ("test_unused", "no gradient reaches method.predictor.weight"),
        ("test_ungrouped", "is in no group of param_groups"),
        ("test_half", "in bfloat16 mixed precision the loss"),
        ("test_state", "after saving and loading"),
        ("test_kept", "after 3 steps the method cannot be copied"),
        ("test_ranks", "two processes have loss"),
        ("test_rises", "on digits"),
    ],
)
def test_mistakes_are_seen(name, words):
    with pytest.raises(AssertionError, match=words):
        check_method(name)


def test_a_method_of_a_notebooks_cell_is_told_that_no_process_can_import_it(monkeypatch):
    monkeypatch.setattr(Good, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    with pytest.raises(InputError, match="method = 'test_good': must be in a file that can be imported"):
        check_two_processes(Case("test_good", {}, 64))


def test_an_error_of_the_method_ends_all_processes_at_once():
    before = set(multiprocessing.active_children())  # of other tests: workers of loaders that are not yet collected
    with pytest.raises(TypeError, match="float32 only"):
        check_two_processes(Case("test_float32", {}, 64))
    started = set(multiprocessing.active_children()) - before
    for child in started:
        child.join(60)
    assert not any(child.is_alive() for child in started)


def test_a_method_of_each_device_remembers_its_own_batches_only():
    check_two_processes(Case("test_remembers", {}, 64))


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
