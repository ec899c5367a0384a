"""What only a GPU can show. Each check is a function of the device and is rehearsed on the CPU as far as that goes."""

import math
import warnings
from contextlib import contextmanager

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.trainer import setup
from steps import BATCH, CASES, METHODS, Step, configuration, digits, new_module
from test_pretended_device import look
from torch.nn import functional as F

import cplearn_solo
from cplearn_solo.collapse.runs import from_run
from cplearn_solo.config.evaluation import LinearConfig
from cplearn_solo.dictionary import pack_dictionary, temperature
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.train import pretrain
from cplearn_solo.evaluation.programs import evaluate
from cplearn_solo.objective import PackedDictionary, objective

pytestmark = pytest.mark.integration

CUDA = pytest.param("cuda", marks=pytest.mark.cuda)
BOTH = ["cpu", CUDA]
EAGER = {"graph": False}


@pytest.fixture(autouse=True)
def exact_products():
    """Whatever a run has set before."""
    torch.set_float32_matmul_precision("highest")


# --- the objective --------------------------------------------------------------------------------------------------


def views_of(n, f, *, scale, dtype):
    """Two views of Eq. 1's length times ``scale``, rounded to ``dtype``."""
    generator = torch.Generator().manual_seed(n + f)
    x, noise = torch.randn(n, f, generator=generator), torch.randn(2, n, f, generator=generator)
    return [(view * math.sqrt(f / n) * scale).to(dtype) for view in F.normalize(x + noise, dim=2)]


def solved(views, dictionary, **settings):
    """Loss and gradient by both views."""
    views = [view.detach().requires_grad_() for view in views]
    found = objective(views, dictionary, **settings)
    return found.loss.detach(), torch.cat(torch.autograd.grad(found.loss, views)).detach()


def compare_with_float64(device, n, f, c, *, scale, dtype, prior_loss, unused, impl="triton"):
    """Relative errors of loss and gradient against all logits in float64 on the CPU."""
    prior = None
    if unused:
        prior = torch.full((c,), 1 / (c - 1), dtype=torch.float64)
        prior[c // 2] = 0
    views, words = views_of(n, f, scale=scale, dtype=dtype), pack_dictionary(f, c)
    settings = {"temperature": temperature(f, n, c, 1e-8), "beta": 0.7, "prior_loss": prior_loss}
    truth = solved([v.double() for v in views], PackedDictionary(words, f), prior=prior, impl="reference", **settings)
    there = PackedDictionary(words.to(device), f)
    prior = prior if prior is None else prior.to(device, torch.float32)
    loss, gradient = solved([v.to(device) for v in views], there, prior=prior, impl=impl, **settings)
    assert loss.isfinite() and gradient.isfinite().all()
    exact_loss, exact = truth
    return abs(loss.item() - exact_loss.item()) / abs(exact_loss.item()), (
        (gradient.cpu().double() - exact).norm() / exact.norm()
    ).item()


SMALL, MEDIUM, LARGE = (7, 37, 101), (33, 130, 1001), (255, 515, 20_011)  # odd on purpose
PLACES = [("cpu", SMALL), *(pytest.param("cuda", size, marks=pytest.mark.cuda) for size in (SMALL, MEDIUM, LARGE))]


def skip_without_interpreter(device, impl):
    if device == "cpu" and impl == "triton" and torch.cuda.is_available():
        pytest.skip("Triton's interpreter is for machines without a GPU")


@pytest.mark.parametrize("impl", ["triton", "chunked"])
@pytest.mark.parametrize("device, size", PLACES)
@pytest.mark.parametrize(
    "scale, prior_loss, unused", [(1.0, "reverse", False), (40.0, "reverse", False), (4.0, "forward", True)]
)
def test_float32_is_float64s(device, size, scale, prior_loss, unused, impl):
    """Soft, saturated, and with a code that the prior does not want."""
    skip_without_interpreter(device, impl)
    errors = compare_with_float64(
        device, *size, scale=scale, dtype=torch.float32, prior_loss=prior_loss, unused=unused, impl=impl
    )
    assert errors[0] < 1e-5 and errors[1] < 2e-5 * max(1, scale)


@pytest.mark.parametrize("impl", ["triton", "chunked"])
@pytest.mark.parametrize("device, size", PLACES[:3])
@pytest.mark.parametrize("dtype, most", [(torch.bfloat16, 0.03), (torch.float16, 0.006)], ids=str)
def test_half_precision_is_near(device, size, dtype, most, impl):
    skip_without_interpreter(device, impl)
    errors = compare_with_float64(device, *size, scale=1.0, dtype=dtype, prior_loss="reverse", unused=False, impl=impl)
    assert errors[0] < most / 3 and errors[1] < most


@pytest.mark.cuda
def test_words_of_a_dictionary_may_be_further_apart_than_int32_counts():
    """Those of row 64 are as far from the first as with 2^30 codes, 8.6 GB."""
    if torch.cuda.mem_get_info()[0] < 10e9:
        pytest.skip("needs 10 GB of free memory")
    from cplearn_solo.objective.triton import products  # only where Triton is

    c, f, apart = 48, 96, 2**30
    small = pack_dictionary(f, c, device="cuda")
    words = torch.empty(2 * apart + c, dtype=torch.int32, device="cuda").as_strided((3, c), (apart, 1))
    words.copy_(small)
    found, expected = (products.entries(w, f, torch.empty(f, c, device="cuda")) for w in (words, small))
    assert torch.equal(found, expected)


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("impl", ["triton", "chunked", "reference"])
def test_the_second_device_gives_what_the_first_does(impl):
    settings = {"scale": 1.0, "dtype": torch.float32, "prior_loss": "reverse", "unused": False, "impl": impl}
    assert compare_with_float64("cuda:1", 33, 130, 1001, **settings)[1] < 2e-5
    assert torch.cuda.current_device() == 0


# --- steps ----------------------------------------------------------------------------------------------------------


@contextmanager
def no_waiting(device):
    """Operations that make the program wait for the GPU raise while this lasts."""
    if device == "cpu":
        yield
        return
    try:
        torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_what_is_said_only_where_there_is_a_gpu_is_no_failure(monkeypatch):
    """Warnings are errors to tests. PyTorch gives one where waiting is an error, Lightning on a CPU beside a GPU."""
    words = "Synchronization debug mode is a prototype feature and does not yet detect all synchronizing operations"
    warnings.warn(words, UserWarning, stacklevel=1)
    monkeypatch.setattr(setup.CUDAAccelerator, "is_available", lambda: True)
    Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)


def three_steps(case, device):
    """Losses of three steps; the first, which fills caches and queues, may wait."""
    step, losses = Step(new_module(case).to(device)), []
    for number in range(3):
        batch = step.batch()
        with no_waiting(device if number else "cpu"):
            loss = step.forward(batch)
            step.backward(loss)
        losses.append(loss.item())
    return losses


def rehearsed(first, cases):
    """``first`` is rehearsed on the CPU; all run on a GPU."""
    return [("cpu", first), *(pytest.param("cuda", case, marks=pytest.mark.cuda) for case in cases)]


@pytest.mark.parametrize("device, case", rehearsed("cplearn", [*CASES, "cplearn, triton"]))
def test_steps_do_not_wait(device, case):
    """The pretended device says which have something left to mend."""
    waits = {name for name in look(case)[1] if not name.endswith("float64")} if case in CASES else set()
    try:
        losses = three_steps(case, device)
    except RuntimeError as error:
        if waits and "synchronizing CUDA operation" in str(error):
            pytest.xfail(f"waits, as exceptions.yaml says: {', '.join(sorted(waits))}")
        raise
    assert all(map(math.isfinite, losses))


def loss_of(module, crops):
    """The loss of crops, with what a method draws itself the same on each device, as far as that can be."""
    views = Step(module).views(crops)
    torch.manual_seed(0)
    return module.method.loss(views)["loss"].item()


@pytest.mark.parametrize("device, case", rehearsed("cplearn", METHODS))
def test_losses_are_those_of_the_cpu(device, case):
    module = new_module(case)
    crops = module.augment(digits().images[:BATCH], torch.Generator().manual_seed(0))
    ours, theirs = loss_of(module, crops), loss_of(new_module(case).to(device), crops)
    drawn = case in ("gedi", "wmse") and device != "cpu"
    assert math.isfinite(theirs) if drawn else theirs == pytest.approx(ours, rel=1e-2)  # convolutions are in TF32


# --- runs -----------------------------------------------------------------------------------------------------------


def run(folder, device, **changes):
    """A run of CPLearn on digits: its module and its folder."""
    config = configuration(
        "cplearn",
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_epochs=2,
        data={"max_train_images": 320, "num_workers": 0},
        checkpoint={"dir": str(folder), "keep_prev": True},
        **changes,
    )
    trained = pretrain(config)
    trained.run.close()
    return trained.module, trained.run.path


def weights(module):
    return torch.cat([p.detach().flatten().cpu() for p in module.parameters()])


@pytest.mark.parametrize("device", BOTH)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(device, tmp_path):
    whole, folder = run(tmp_path, device)
    resumed, _ = run(tmp_path, device, resume_from_checkpoint=str(folder / "checkpoints/epoch=1.ckpt"))
    error = (weights(resumed) - weights(whole)).norm() / weights(whole).norm()
    assert error <= (0 if device == "cpu" else 1e-2)  # a GPU sums in any order


def last_loss(folder):
    return EpochLog.read(folder)[-1]["train_loss"]


@pytest.mark.parametrize("device", [pytest.param("cpu", marks=pytest.mark.slow), CUDA])
def test_a_whole_run_is_scored_and_used(device, tmp_path):
    """Training, scores, embeddings, fine-tuning and what a collapse report takes, from Python."""
    accelerator = "gpu" if device == "cuda" else "cpu"
    keys = {"max_epochs": 3, "data.max_train_images": 320, "data.max_val_images": 128, "checkpoint.dir": str(tmp_path)}
    trained = cplearn_solo.pretrain(accelerator=accelerator, devices=1, enable_progress_bar=False, **keys)
    assert {"linear_acc1", "knn_acc1", "nmi", "own_view_acc", "verdict", "random_backbone"} <= trained.scores.keys()
    found = cplearn_solo.Run(trained.path, device=device).embed(digits().images[:50], space="projector")
    assert found.x.shape == (50, 128) and found.x.isfinite().all() and len(found.codes) == 50
    tuned = LinearConfig(pretrained=str(trained.path), accelerator=accelerator, finetune=True, max_epochs=1)
    assert 0 <= evaluate(tuned).scores["finetuned_acc1"] <= 1
    subject = from_run(trained.path, images=100, data={}, seed=0, released=True)
    assert subject.embeddings.shape == (100, 128) and len(subject.codes) == 100


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_trains(precision, tmp_path):
    exact, half = (last_loss(run(tmp_path / name, "cuda", precision=name)[1]) for name in ("32", precision))
    assert half == pytest.approx(exact, rel=0.05)


@pytest.mark.cuda
@pytest.mark.parametrize("performance", [{**EAGER, "compile": True}, {"graph": True}], ids=str)
def test_a_faster_step_learns_the_same(performance, tmp_path):
    eager, fast = (last_loss(run(tmp_path / str(p), "cuda", performance=p)[1]) for p in (EAGER, performance))
    assert fast == pytest.approx(eager, rel=1e-2)
