"""A captured step learns what the step learns. On a CPU a tape of operations stands for the graph."""

import weakref
from contextlib import nullcontext
from random import Random
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from steps import BATCH, CASES, VARIANTS, Step, configuration, digits, new_module
from steps import METHODS as SHIPPED
from test_cuda import no_waiting
from test_pretended_device import look
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import BatchAugment, batch_views
from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import Augmentation, ColorJitter, GaussianNoise, Prob
from cplearn_solo.engine import captured, prepare
from cplearn_solo.engine.captured import NotCaptured, captures, cuda_graph
from cplearn_solo.engine.captured_updates import CapturedOptimizer, CapturedTeacher
from cplearn_solo.engine.captured_views import CapturedViews
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.train import pretrain
from cplearn_solo.methods import METHODS

pytestmark = pytest.mark.integration

PROMISED = {"barlow_twins", "byol", "cplearn", "gedi_nogen", "matrix_ssl", "self_classifier", "simsiam"}
CAPTURED = [case for case in CASES if VARIANTS.get(case, (case,))[0] in PROMISED]
SMALL = [case for case in CAPTURED if case != "cplearn, 1,048,576 codes"]


def tensors(output):
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]


class Tape(TorchDispatchMode):
    """Operations with the memory that they had the first time, as in a CUDA graph: Python does not decide again."""

    def __init__(self):
        super().__init__()
        self.calls, self.has_just_run = [], True

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        made = op(*args, **(kwargs or {}))
        # aliases, as shapes may change in place
        self.calls.append((op, *tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs or {}, made))))
        return made

    @torch.no_grad()
    def replay(self):
        if self.has_just_run:  # unlike a graph, which captures without running
            self.has_just_run = False
            return
        with torch.autocast("cpu", enabled=False):  # casts are on the tape
            for op, args, kwargs, made in self.calls:
                for place, value in zip(tensors(made), tensors(op(*args, **kwargs)), strict=True):
                    if place.data_ptr() != value.data_ptr():  # neither a view nor in place
                        place.copy_(value)


def tape(step, *, generator=None, pool=None):
    """Stands for :func:`cuda_graph` on a CPU. What draws from ``generator`` has not run yet, as in a graph."""
    state = generator and generator.get_state()
    with Tape() as recorded:
        output = step()
    if generator:
        generator.set_state(state)
        recorded.has_just_run = False
    return output, recorded.replay


@pytest.fixture(autouse=True)
def views_as_on_a_gpu(monkeypatch):
    """Operations are computed for all samples, and orders are drawn apart from everything else."""
    monkeypatch.setattr(batch_views, "_computes_all", lambda device: True)
    own = RandomSource.order

    def order(source, n):
        if source.source.type == "cuda" or source.generator is None:
            return own(source, n)
        return source.__dict__.setdefault("host", Random(source.generator.initial_seed())).sample(range(n), n)

    monkeypatch.setattr(RandomSource, "order", order)


CAPTURE = {"cpu": tape, "cuda": cuda_graph}
HOST = ("cplearn, 16,384 codes", "cplearn, chunked, beta auto")  # use what only a CPU does: table look-ups, float(beta)
QUICK = ("byol", "cplearn", "cplearn, chunked, a prior")
CURVES = [
    *(pytest.param("cpu", case, marks=[] if case in QUICK else pytest.mark.slow) for case in SMALL if case not in HOST),
    *(pytest.param("cuda", case, marks=pytest.mark.cuda) for case in [*SMALL, "cplearn, triton"]),
]


def twenty_steps(case, device, capture=None, **changes):
    """Losses, and the module after them; learning rates fall, as numbers that float32 holds."""
    module = new_module(case, knn_eval={"enabled": True}, **changes).to(device)
    if capture:
        module.capture_steps(capture)
    if capture is tape:
        module._captured.views = module.augment  # 24 tapes take seconds, and have tests of their own
    step, losses = Step(module), []
    for number in range(20):
        for group, rate in zip(step.optimizer.param_groups, module._rates):
            group["lr"] = torch.tensor(rate * 0.9**number).item()
        loss = step.forward(step.batch())
        step.backward(loss)
        losses.append(loss.item())
        del loss  # a capture must find nothing of another stream
    assert (module._captured is not None and module._captured.step.replays) == (capture is not None)
    if capture:
        assert module._captured.optimizer._replay is not None
        assert module.teacher is None or module._captured.teacher._replay is not None
        assert all(isinstance(group["lr"], float) for group in step.optimizer.param_groups)
    return torch.tensor(losses), module


def left(module):
    """All that steps leave behind."""
    bank = [feats for feats, _ in module.probe._bank]
    sums = [module.sums._sums[name] for name in sorted(module.sums._sums)]
    return [
        *tensors(module.state_dict()),
        *module.recent,
        *bank,
        torch.stack(sums),
        module.codes._used,
        module.finite._first_bad,
    ]


@pytest.mark.parametrize("device, case", CURVES)
def test_the_loss_curve_is_that_of_steps_as_they_come(device, case, monkeypatch):
    """On a CPU to the bit, with weights, statistics, teacher, recent features, neighbours, sums and codes."""
    if device == "cpu":
        monkeypatch.setattr(torch, "_foreach_lerp_", in_three_operations)
    (eager, one), (replayed, two) = (twenty_steps(case, device, capture) for capture in (None, CAPTURE[device]))
    assert eager.std() > 0
    torch.testing.assert_close(replayed, eager, rtol=0 if device == "cpu" else 1e-2, atol=0)
    if device == "cpu":
        for a, b in zip(left(one), left(two), strict=True):
            assert torch.equal(a, b)


JITTERED = {"color_jitter": ColorJitter(0.8, 0.4, 0.4, 0.4, 0.2), "crop_size": 8}
BLURRED = {"gaussian_blur": Prob(0.5), "gaussian_noise": GaussianNoise(0.1), "solarization": Prob(0.2)}
AUGMENTATIONS = [
    Augmentation(**JITTERED, num_crops=2, horizontal_flip=Prob(0.5)),
    Augmentation(**JITTERED, **BLURRED, grayscale=Prob(0.2)),
    Augmentation(crop_size=8, equalization=Prob(0.5)),  # without an order
]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("crops", [False, True], ids=["in memory", "crops of files"])
def test_replayed_views_are_those_that_are_made_as_they_come(device, crops, monkeypatch):
    """Of as many batches as it takes to see most orders."""
    mean, std, orders = [0.5] * 3, [0.2] * 3, set()
    augment, replayed = BatchAugment(AUGMENTATIONS, mean, std), CapturedViews(AUGMENTATIONS, mean, std, CAPTURE[device])
    generator = torch.Generator(device)
    own = RandomSource.order
    monkeypatch.setattr(RandomSource, "order", lambda *args: orders.add(tuple(found := own(*args))) or found)
    for seed in range(40):
        images = list(torch.randint(256, (4, 5, 3, 8, 8), dtype=torch.uint8).to(device))
        images = images if crops else images[0]
        expected = augment(images, generator.manual_seed(seed))
        for view, same in zip(replayed(images, generator.manual_seed(seed)), expected, strict=True):
            torch.testing.assert_close(view, same, rtol=0, atol=0 if device == "cpu" else 1e-5)
    assert len(orders) > 20


def in_three_operations(teacher, online, weight):
    """As a captured teacher is moved, whose weight is a tensor."""
    ways = torch._foreach_sub(online, teacher)
    torch._foreach_add_(teacher, torch._foreach_mul(ways, torch.tensor(weight)))


def test_a_captured_teacher_moves_as_far_as_it_is_told():
    teacher, online = ([torch.randn(4, 3), torch.randn(5)] for _ in range(2))
    expected = [p.clone() for p in teacher]
    move = CapturedTeacher(teacher, online, tape)
    for weight in (0.3, 0.01, 0.0, 1.0):
        move(weight)
        torch._foreach_lerp_(expected, online, weight)
        for found, p in zip(teacher, expected):
            torch.testing.assert_close(found, p, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "weight_decay": 1e-4},
        {"name": "adamw", "weight_decay": 1e-2},
        {"name": "lars", "weight_decay": 1e-4, "exclude_bias_n_norm_wd": True, "kwargs": {"clip_lr": True}},
    ],
    ids=lambda optimizer: optimizer["name"],
)
def test_each_optimizer_learns_the_same_when_it_is_replayed(optimizer):
    (eager, one), (replayed, two) = (twenty_steps("cplearn", "cpu", c, optimizer=optimizer) for c in (None, tape))
    rounding = 1e-4 if optimizer["name"] == "lars" else 0  # its rate is multiplied apart
    torch.testing.assert_close(replayed, eager, rtol=rounding, atol=0)
    assert not torch.equal(*(torch.cat([p.flatten() for p in m.parameters()]) for m in (one, new_module("cplearn"))))


def test_an_optimizer_with_other_settings_or_gradients_is_not_replayed():
    weight, other = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = torch.optim.AdamW([weight, other], lr=0.5, fused=True)
    own = optimizer.step
    captured_step = CapturedOptimizer(optimizer, tape)
    weight.grad = torch.ones(3)

    def is_replayed():
        optimizer.step()
        return captured_step._replay is not None

    assert [is_replayed() for _ in range(3)] == [False, True, True]
    optimizer.param_groups[0]["weight_decay"] = 0.1
    assert [is_replayed() for _ in range(2)] == [False, True]
    other.grad = torch.ones(3)  # has no state yet
    assert [is_replayed() for _ in range(2)] == [False, True]
    weight.grad = None
    before = weight.clone()
    assert [is_replayed() for _ in range(2)] == [False, True] and torch.equal(weight, before)
    captured_step.release()
    assert optimizer.step == own


def test_an_optimizer_may_have_a_group_without_parameters():
    """That of a method that has none, as CPLearn without its linear layer."""
    module = new_module("cplearn", method_kwargs={"linear_bn": False, "proj_hidden_dim": 8})
    module.capture_steps(tape)
    assert [] in [group["params"] for group in Step(module).optimizer.param_groups]
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([{"params": []}, {"params": [weight]}], lr=0.5, fused=True)
    captured_step = CapturedOptimizer(optimizer, tape)
    weight.grad = torch.ones(3)
    for _ in range(3):
        optimizer.step()
    assert captured_step._replay is not None and torch.allclose(weight, torch.tensor(-0.5))


def test_a_tape_shows_what_would_stay_what_it_was():
    """The place in SwAV's queue is a number of Python's, which is why it makes no promise."""
    assert not torch.equal(twenty_steps("swav, a queue", "cpu", tape)[0], twenty_steps("swav, a queue", "cpu")[0])


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_second_gpu_is_captured_after_the_first():
    for gpu in (0, 1):
        with torch.cuda.device(gpu):
            sums = torch.zeros(1, device="cuda")
            _, replay = cuda_graph(lambda sums=sums: sums.add_(1))
            replay()
            assert sums.item() == 1


@pytest.mark.cuda
@pytest.mark.parametrize("case", [*CAPTURED, "cplearn, triton"])
def test_replayed_steps_do_not_wait(case):
    module = new_module(case).to("cuda")
    module.capture_steps()
    step, losses = Step(module), []
    for number in range(8):
        batch = step.batch()
        with no_waiting("cuda" if number > 4 else "cpu"):
            loss = step.forward(batch)
            step.backward(loss)
        losses.append(loss.item())
        del loss  # a capture must find nothing of another stream
    assert module._captured.step.replays and torch.tensor(losses).isfinite().all()


# --- what a method promises -----------------------------------------------------------------------------------------


class Unread:
    """Whatever is read from it would stay what it was when the step was captured."""

    def __getattr__(self, name):
        raise AssertionError(f"views.progress.{name} is read")


def numbers_of_python(module):
    plain = (int, float, bool, str, tuple, list)
    return {
        (name, key): repr(value)
        for name, part in module.named_modules()
        for key, value in vars(part).items()
        if isinstance(value, plain)
    }


def test_all_methods_that_promise_capture_are_looked_at():
    assert {name for name in SHIPPED if new_module(name).method.capturable} == PROMISED


@pytest.mark.parametrize("case", CAPTURED)
def test_a_captured_method_has_nothing_that_would_stay_what_it_was(case):
    """It reads nothing from the device and no progress, and changes nothing but buffers."""
    found = {name for name in look(case)[1] if name.startswith(("methods", "losses", "objective", "core"))}
    found = {name for name in found if not name.startswith("core/cached.py")}  # made in the first steps
    assert not {name for name in found if name.endswith((" item", " nonzero", " copy"))}
    if case not in SMALL:
        return
    module = new_module(case)
    views, method = Step(module).views(module.augment(digits().images[:BATCH])), module.method
    method.loss(views)
    before = numbers_of_python(method)
    method.loss(SimpleNamespace(feats=views.feats, n_large=views.n_large, teacher=views.teacher, progress=Unread()))
    assert numbers_of_python(method) == before


def test_the_promise_is_not_inherited():
    class Own(METHODS["cplearn"]):
        pass

    assert METHODS["cplearn"].capturable and not Own.capturable and not METHODS["gedi"].capturable
    assert not new_module("matrix_ssl", method_kwargs={"order": None}).method.capturable


# --- runs -----------------------------------------------------------------------------------------------------------


def run(folder, graph, **changes):
    """A run of two epochs of ten steps with validation: its folder and its checkpoint."""
    small = {"max_epochs": 2, "data": {"max_train_images": 160, "num_workers": 0}, "accelerator": "cpu", "devices": 1}
    checkpoint = {"dir": str(folder), "keep_prev": True}
    config = configuration("cplearn", checkpoint=checkpoint, performance={"graph": graph}, **small | changes)
    trained = pretrain(config)
    trained.run.close()
    assert trained.module._captured is None
    return trained.run.path, torch.load(trained.run.path / "checkpoints/last.ckpt", weights_only=True)


def rows(folder):
    return [{key: value for key, value in row.items() if key != "train_seconds"} for row in EpochLog.read(folder)]


def same_weights(one, two):
    states = (checkpoint["state_dict"] for checkpoint in (one, two))
    return all(torch.equal(a, b) for a, b in zip(*map(tensors, states), strict=True))


@pytest.fixture
def rates_of_float32():
    """A captured optimizer has its learning rates in float32, so that others are to have them, too."""

    def round_rates(optimizer, args, kwargs):
        for group in optimizer.param_groups:
            if isinstance(group["lr"], float):  # else it is a captured optimizer's
                group["lr"] = torch.tensor(group["lr"]).item()

    hook = register_optimizer_step_pre_hook(round_rates)
    yield
    hook.remove()


@pytest.fixture
def on_a_cpu(monkeypatch):
    """``performance.graph=true`` is taken on a CPU."""
    monkeypatch.setattr(prepare, "captures", lambda config, *_: config.performance.graph is not False)
    capture_steps = Pretrainer.capture_steps
    monkeypatch.setattr(Pretrainer, "capture_steps", lambda self: capture_steps(self, tape))


@pytest.mark.parametrize(
    "changes",
    [{"precision": "bf16-mixed", "gradient_clip_val": 0.5}, pytest.param({}, marks=pytest.mark.slow)],
    ids=str,
)
def test_a_captured_run_is_the_same_run_also_when_it_is_resumed(changes, tmp_path, on_a_cpu, rates_of_float32):
    """To the bit: once with a clipped gradient, where the optimizer is not captured, and once with all captured."""
    folder, eager = run(tmp_path / "eager", False, **changes)
    whole, made = run(tmp_path / "captured", True, **changes)
    for row, expected in zip(rows(whole), rows(folder), strict=True):
        assert row == expected
    assert same_weights(made, eager)
    middle = folder / "checkpoints/epoch=1.ckpt"
    resumed, made = run(tmp_path / "resumed", True, resume_from_checkpoint=str(middle), **changes)
    assert rows(resumed)[-1]["train_loss"] == rows(folder)[-1]["train_loss"]
    assert same_weights(made, eager)


def test_a_step_finds_nothing_left_of_the_graph_of_the_step_before(tmp_path, monkeypatch):
    """Its nodes belong to the stream on which it ran, and a capture that met them would fail."""
    step, nodes, alive = Pretrainer.training_step, [], []

    def watched(self, *args):
        alive.extend(node() for node in nodes)
        loss = step(self, *args)
        loss.grad_fn.metadata["mark"] = mark = Unread()
        nodes[:] = [weakref.ref(mark)]
        return loss

    monkeypatch.setattr(Pretrainer, "training_step", watched)
    run(tmp_path, False)
    assert alive == [None] * 19


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_cpu_is_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(InputError, match="^performance.graph = True: must be false on a CPU$"):
        run(tmp_path, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "case, changes, strategy, reason",
    [
        ("swav", {}, None, "with method 'swav', whose steps cannot be captured"),
        ("cplearn", {"accumulate_grad_batches": 2}, None, "with accumulate_grad_batches above 1"),
        ("cplearn", {"precision": "16-mixed"}, None, "with precision=16-mixed"),
        ("cplearn", {"performance": {"compile": True}}, None, "with performance.compile=true"),
        ("cplearn", {}, DDPStrategy, "with several devices"),
        ("cplearn", {}, None, None),
    ],
)
def test_what_cannot_be_captured_is_one_line(case, changes, strategy, reason):
    module = new_module(case, **changes)
    cuda = {"root_device": torch.device("cuda", 0)}
    pretended = type("Pretended", (strategy or SingleDeviceStrategy,), cuda)
    trainer = SimpleNamespace(strategy=pretended.__new__(pretended))
    module.config.performance.graph = "auto"
    assert captures(module.config, module.method, trainer) == (reason is None)
    module.config.performance.graph = False
    assert not captures(module.config, module.method, trainer)
    module.config.performance.graph = True
    if reason is None:
        assert captures(module.config, module.method, trainer)
        return
    with pytest.raises(InputError) as error:
        captures(module.config, module.method, trainer)
    assert str(error.value) == f"performance.graph = True: must be false {reason}"


@pytest.fixture
def pretended_gpu(monkeypatch):
    """Its streams are words."""
    for name, found in {"CUDAGraph": lambda: SimpleNamespace(replay=None), "current_device": lambda: 0}.items():
        monkeypatch.setattr(torch.cuda, name, found)
    monkeypatch.setattr(torch.cuda, "Stream", lambda gpu: f"of GPU {gpu}")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "the program's")
    captured._stream.cache_clear()
    yield
    captured._stream.cache_clear()


def test_each_gpu_captures_on_a_stream_of_its_own(pretended_gpu, monkeypatch):
    """On that of another, nothing would be captured, and replays would do nothing."""
    streams = []
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, pool, stream, mode: nullcontext(streams.append(stream)))
    for gpu in (0, 1, 0):
        monkeypatch.setattr(torch.cuda, "current_device", lambda gpu=gpu: gpu)
        cuda_graph(lambda: None)
    assert streams == ["of GPU 0", "of GPU 1", "of GPU 0"]


def test_a_step_that_waits_is_one_line(pretended_gpu, monkeypatch):
    class Capture:
        def __init__(self, *_):
            pass

        def __enter__(self):
            streams.append("the capture's")

        def __exit__(self, *_):  # as PyTorch, which stays on that stream
            raise RuntimeError("capture was invalidated")

    def step():
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    monkeypatch.setattr(torch.cuda, "graph", Capture)
    monkeypatch.setattr(torch.cuda, "default_generators", ())
    streams = []
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)
    with pytest.raises(NotCaptured, match="a step cannot be captured: operation not permitted when .* capturing$"):
        captured.cuda_graph(step)
    assert streams == ["the capture's", "the program's"]


def refuse(step, **_):
    raise NotCaptured("a step cannot be captured: it asks the device")


def ask(module, args):
    if args and isinstance(args[0], torch.Tensor):
        args[0].sum().item()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_a_step_that_cannot_be_captured_is_made_as_it_comes(device, tmp_path, monkeypatch, capsys):
    """It draws what it would have drawn. With graph=true it is one line."""
    accelerator = {"accelerator": "gpu" if device == "cuda" else "cpu"}
    if device == "cpu":
        own = Pretrainer.capture_steps
        monkeypatch.setattr(prepare, "captures", lambda config, *_: config.performance.graph is not False)
        monkeypatch.setattr(Pretrainer, "capture_steps", lambda self: own(self, refuse))
    with register_module_forward_pre_hook(ask):
        expected, found = (run(tmp_path / str(graph), graph, **accelerator)[0] for graph in (False, "auto"))
        assert "a step cannot be captured: " in capsys.readouterr().out
        with pytest.raises(InputError, match="^performance.graph = True: must be false here, a step cannot be "):
            run(tmp_path / "true", True, **accelerator)
    losses = [[row["train_loss"] for row in rows(folder)] for folder in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=0 if device == "cpu" else 1e-2)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_other_values_are_refused(value):
    with pytest.raises(InputError, match="performance.graph = .*: must be auto, true or false"):
        configuration("cplearn", performance={"graph": value})
