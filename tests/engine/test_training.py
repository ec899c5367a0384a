"""Small real trainings on digits: what a run learns, leaves behind and refuses."""

import json
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from support.configs import PRETRAIN, composed, tiny
from support.images import pil
from support.runs import folders
from torch import nn

from cplearn_solo import load_backbone
from cplearn_solo.auto.choose import choose
from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.config.evaluation import KNNConfig
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.read_evaluation import parse_evaluation
from cplearn_solo.config.schema import KNNEvalConfig
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import load_splits, train_loader
from cplearn_solo.engine.batches import check_batches
from cplearn_solo.engine.find import kept_checkpoints
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.online_probe import OnlineProbe
from cplearn_solo.engine.prepare import Loaders, prepared
from cplearn_solo.engine.running_scale import RunningScale
from cplearn_solo.engine.runs import read_derived
from cplearn_solo.engine.train import _matmul_precision, pretrain
from cplearn_solo.engine.trainer import extra_loggers
from cplearn_solo.evaluation.programs import evaluate
from cplearn_solo.inference.features import extract
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.methods.cplearn import CPLearn

pytestmark = pytest.mark.integration


def test_every_epoch_has_an_order_of_its_own(tmp_path, monkeypatch):
    """The one that the loader promises for (seed, epoch), which for image files decides on their views as well."""
    seen, step = [], Pretrainer.training_step
    monkeypatch.setattr(Pretrainer, "training_step", lambda self, *args: seen.append(args[0][0]) or step(self, *args))
    config = parse_config(tiny(tmp_path, max_epochs=3))
    images = pretrain(config).splits.train
    loader = train_loader(images, config.augmentations, batch_size=32, num_workers=0, seed=config.seed)
    wanted = []
    for epoch in range(3):
        loader.batch_sampler.set_epoch(epoch)
        wanted += [index for index, _, _ in loader]
    assert torch.equal(torch.stack(seen), torch.stack(wanted))
    assert len({tuple(index.tolist()) for index in seen}) == 3 * len(loader)


def test_a_finished_run_leaves_what_was_promised(finished):
    summary = json.loads((finished / "summary.json").read_text())
    keys = """method dataset backbone seed epochs wall_seconds images_per_second online_acc1 linear_acc1 knn_acc1 nmi
    nmi_chance ami ari cluster_acc kmeans_ami codes_used codes_total effective_rank loss learning_version versions
    machine"""
    assert set(keys.split()) <= set(summary)
    assert summary["codes_total"] == 64 and 1 <= summary["codes_used"] <= 64 and 0 <= summary["nmi"] <= 1
    left = {path.name for path in finished.iterdir()} - {".lock"}
    files = {"config.yaml", "data.json", "derived.json", "metrics.csv", "summary.json", "backbone.safetensors"}
    assert left == {*files, "checkpoints", "figures"}
    for row in EpochLog.read(finished):
        assert {"train_bound_gap", "train_assignment_entropy", "train_codes_used", "val_acc1"} <= set(row)
        assert row["train_bound_gap"] > 0


def test_checkpoint_frequency_always_keeps_the_last_epoch(tmp_path):
    config = tiny(tmp_path, max_epochs=3, checkpoint={"frequency": 2, "keep_prev": True})
    pretrain(parse_config(config))
    (run,) = folders(tmp_path)
    places = run / "checkpoints"
    assert {p.name for p in places.iterdir()} == {"last.ckpt", "epoch=2.ckpt", "epoch=3.ckpt"}
    (places / "epoch=2 copy.ckpt").touch()  # of a person, or of a file manager
    assert kept_checkpoints(run) == {2: places / "epoch=2.ckpt", 3: places / "epoch=3.ckpt"}


def test_a_run_of_so_many_steps_keeps_its_weights_and_means(tmp_path, capsys):
    pretrain(parse_config(tiny(tmp_path, max_epochs=5, max_steps=9, checkpoint={"frequency": 5})))
    (run,) = folders(tmp_path)
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 9
    rows = EpochLog.read(run)
    assert [row["train_images"] for row in rows] == [6 * 32, 3 * 32]
    assert "epoch 2/2" in capsys.readouterr().out and all("val_acc1" in row for row in rows)
    assert 0.5 < rows[1]["train_loss"] / rows[0]["train_loss"] < 1.5


@pytest.mark.parametrize("name", ["cplearn", "mec"])  # the latter has a warm-up of its own
def test_schedules_of_so_many_steps_are_those_of_as_many_epochs(name, tmp_path):
    lengths = {"steps": {"max_epochs": 40, "max_steps": 4}, "epochs": {"max_epochs": 2}}
    same = {"data": {"max_train_images": 64}, "scheduler": {"warmup_epochs": 1}}
    runs = [pretrain(parse_config(tiny(tmp_path / key, name, **same, **given))) for key, given in lengths.items()]
    first, second = (run.module.parameters() for run in runs)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_run_of_some_batches_of_each_epoch_says_so(tmp_path, capsys):
    pretrain(parse_config(tiny(tmp_path, max_epochs=5, max_steps=5, limit_train_batches=0.5)))
    (run,) = folders(tmp_path)
    assert read_derived(run)["steps_per_epoch"] == 3  # of 6 batches
    assert "epoch 2/2" in capsys.readouterr().out


def test_a_program_may_have_set_the_precision_of_products_by_backend(monkeypatch, tmp_path):
    def refuses():
        raise RuntimeError("you have used mix of the legacy and new APIs")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", refuses)
    pretrain(parse_config(tiny(tmp_path, max_epochs=1, limit_train_batches=1)))


def test_features_and_codes_do_not_depend_on_the_evaluation_batch(finished):
    model = load_pretrained(finished)
    statistics = model.method.projector[1].running_mean.clone()
    images = load_splits(model.config.data, seed=0).test
    ours = [extract(model.backbone, model.method, images, crop_size=8, batch_size=size) for size in (7, 359)]
    torch.testing.assert_close(ours[0].x, ours[1].x, rtol=1e-5, atol=1e-5)
    assert torch.equal(ours[0].codes, ours[1].codes)
    theirs = extract(model.backbone, model.method, images, crop_size=8, batch_size=7, batch_statistics=True)
    assert not torch.equal(theirs.codes, ours[0].codes)  # the released protocol does depend on it
    assert torch.equal(statistics, model.method.projector[1].running_mean)
    backbone, frozen = (load_backbone(finished, frozen=each) for each in (False, True))
    assert torch.equal(backbone(torch.ones(1, 3, 8, 8)), model.backbone(torch.ones(1, 3, 8, 8)))
    assert all(p.requires_grad for p in backbone.parameters()) and not backbone.training
    assert not any(p.requires_grad for p in frozen.parameters())


def test_accumulation_lr_scale_and_teacher(tmp_path):
    """Two batches of 32 accumulated: half the optimizer steps, twice the scaled rate, n unchanged."""
    pretrain(parse_config(tiny(tmp_path, "byol", accumulate_grad_batches=2, max_epochs=1)))
    (run,) = folders(tmp_path)
    derived = json.loads((run / "derived.json").read_text())
    lr = tiny(tmp_path, "byol")["optimizer"]["lr"]
    assert derived["lr"] == pytest.approx(lr * 32 * 2 / 256) and derived["n"] == 32 and derived["steps_per_epoch"] == 3
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 3
    weights = state["state_dict"]
    assert not torch.equal(weights["teacher.0.conv1.weight"], weights["backbone.conv1.weight"])


def test_online_knn_and_validation_split(tmp_path):
    config = tiny(tmp_path, max_epochs=1, knn_eval={"enabled": True, "k": 5}, data={"val_split": 0.25})
    pretrain(parse_config(config))
    (row,) = EpochLog.read(folders(tmp_path)[0])
    assert 0 < row["val_knn_acc1"] <= 1


@pytest.mark.parametrize(("labels", "right"), [([0, 0, 1], 2 / 3), ([0, -1, -1], 1.0), ([-1, -1, -1], None)])
@pytest.mark.parametrize("known", [True, False])
def test_neighbours_of_few_held_out_images_with_labels_end_no_run(labels, right, known):
    """Nor do those of none; without labels of training images, one of two is looked up among the others."""
    probe = OnlineProbe(torch.nn.Linear(2, 2), RunningScale(2), KNNEvalConfig(enabled=True, k=1), num_classes=2)
    near, far = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    probe.remember(torch.stack([near, far]), torch.tensor([0, 1]) if known else torch.tensor([-1, -1]))
    probe.start_validation(torch.device("cpu"))
    for label in labels:  # a batch each
        probe.validate(near[None], torch.tensor([label]))
    expected = right if known else 1.0 if labels == [0, 0, 1] else None
    assert probe.accuracies().get("knn_acc1") == (expected and pytest.approx(expected))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
def test_other_optimizers_and_schedules_train(optimizer, tmp_path):
    kwargs = {"eta": 0.02, "clip_lr": True, "exclude_bias_n_norm": True} if optimizer == "lars" else {}
    change = {"name": optimizer, "lr": 0.1, "weight_decay": 1e-4, "exclude_bias_n_norm_wd": True, "kwargs": kwargs}
    schedule = {"sgd": {"name": "step", "lr_decay_steps": [1]}, "adamw": {"name": "none"}}.get(optimizer, {})
    config = tiny(tmp_path, max_epochs=2, optimizer=change, scheduler=schedule)
    trained = pretrain(parse_config(config))
    assert all(p.isfinite().all() for p in trained.module.parameters())


def test_images_without_labels_train_and_are_not_scored(tmp_path, capsys):
    """Files in a folder, decoded and augmented by a worker."""
    (tmp_path / "images").mkdir()
    for i, image in enumerate(load_splits(parse_config(tiny(tmp_path)).data, seed=0).train.images[:40]):
        pil(image).save(tmp_path / f"images/{i}.png")
    data = {"dataset": "custom", "train_path": str(tmp_path / "images"), "no_labels": True, "num_workers": 1}
    config = tiny(tmp_path / "runs", max_epochs=1, data={**data, "max_train_images": None})
    pretrain_task(OmegaConf.create(config))
    (run,) = folders(tmp_path / "runs")
    summary = json.loads((run / "summary.json").read_text())
    assert "loss" in summary and not {"online_acc1", "linear_acc1", "nmi", "kmeans_ami"} & set(summary)
    assert "no labels, so no scores" in capsys.readouterr().out
    with pytest.raises(InputError, match="knn_eval.enabled = True: must be false where no images are held out"):
        pretrain(parse_config({**config, "knn_eval": {"enabled": True}}))
    inside = {"dir": str(tmp_path / "images/runs")}
    with pytest.raises(InputError, match="checkpoint.dir = .*runs': must be a folder outside of data.train_path"):
        pretrain(parse_config({**config, "checkpoint": inside}))


def test_labels_of_validation_images_give_scores_where_training_images_have_none(tmp_path, monkeypatch):
    images = load_splits(parse_config(tiny(tmp_path)).data, seed=0).train
    for i, (image, label) in enumerate(zip(images.images[:80], images.labels.tolist())):
        folder = tmp_path / ("images" if i < 40 else f"val/{label}")
        folder.mkdir(parents=True, exist_ok=True)
        pil(image).save(folder / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    data = {"dataset": "custom", "train_path": "images", "val_path": "val", "no_labels": True, "max_train_images": None}
    config = tiny(tmp_path / "runs", max_epochs=1, data=data, knn_eval={"enabled": True})
    pretrain_task(OmegaConf.create(config))
    (run,) = folders(tmp_path / "runs")
    (row,), summary = EpochLog.read(run), json.loads((run / "summary.json").read_text())
    assert 0 <= row["val_knn_acc1"] <= 1 and "val_acc1" not in row
    assert {"linear_acc1", "knn_acc1", "ami"} <= set(summary) and "online_acc1" not in summary
    assert (summary["probe_images"], summary["scored_images"]) == (20, 20)
    monkeypatch.chdir("/")  # from where the run's data is found, too
    found = evaluate(parse_evaluation({"pretrained": str(run), "num_workers": 0}, KNNConfig)).scores
    for key in ("knn_acc1", "scored_images", "probe_images"):
        assert found[key] == summary[key]


def test_mixed_precision_and_trainer_arguments(tmp_path):
    config = tiny(tmp_path, max_epochs=1, precision="bf16-mixed", limit_train_batches=2, gradient_clip_val=1.0)
    trained = pretrain(parse_config(config))
    assert trained.module.trainer.global_step == 2 and trained.module.trainer.precision == "bf16-mixed"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"gradient_clip_algorithm": "nonsense"}, "Trainer arguments: .*nonsense[^)]*$"),  # of which no GPU is to blame
        ({"checkpoint": {"dir": "x" * 300}}, "checkpoint.dir = .*File name too long"),
        ({"optimizer": {"batch_size": 300}}, "optimizer.batch_size = 300: must be from 1 to 200"),
        ({"performance": {"matmul_precision": "hi"}}, "unknown performance.matmul_precision 'hi': did you mean 'high'"),
        ({"optimizer": {"kwargs": {"bets": 1}}}, "optimizer.kwargs"),
        ({"backbone": {"name": "resnet80"}}, "did you mean 'resnet"),
        ({"data": {"dataset": "digit"}}, "did you mean 'digits'"),
        ({"resume_from_checkpoint": "nowhere.ckpt"}, "nowhere.ckpt does not exist"),
        ({"limit_train_batches": 0}, "limit_train_batches = 0: must be so that one of 6 batches is left"),
        ({"limit_train_batches": 0.1}, "limit_train_batches = 0.1: must be so that one of 6 batches is left"),
        ({"limit_val_batches": 0.01}, "limit_val_batches = 0.01: must be 0, or so that one of 12 batches is left"),
        ({"val_check_interval": 7}, "val_check_interval = 7: must be at most 6"),
    ],
)
def test_bad_input_leaves_nothing_behind(change, words, tmp_path):
    with pytest.raises(InputError, match=words):
        pretrain(parse_config(tiny(tmp_path, **change)))
    assert folders(tmp_path) == []


def test_a_logger_that_is_not_installed_is_one_line(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise ModuleNotFoundError("Neither of two is available.\nRequirement 'one' not met")

    monkeypatch.setattr("cplearn_solo.engine.trainer.TensorBoardLogger", missing)
    with pytest.warns(UserWarning, match="metrics go to metrics.csv only: Neither of two") as caught:
        assert extra_loggers(parse_config(tiny(tmp_path, tensorboard={"enabled": True})), tmp_path) == []
    assert "\n" not in str(caught[0].message)


def test_validations_may_follow_the_clock(tmp_path):
    trained = pretrain(parse_config(tiny(tmp_path, max_epochs=1, val_check_interval="00:01:00:00")))
    trained.run.close()
    assert "val_acc1" not in (trained.run.path / "metrics.csv").read_text()


@pytest.mark.parametrize(
    ("devices", "limit", "words"),
    [
        (4, 1.0, "devices = 4: must be at most as many as images that are scored"),
        (2, 0.6, "limit_val_batches = 0.6: must be 0, or so that one of 1 batches"),  # the first process has two
    ],
)
def test_every_device_has_images_to_score(devices, limit, words, tmp_path):
    config = parse_config(tiny(tmp_path, batch_size=2, data={"max_val_images": 3 if devices == 4 else 5}))
    loaders = Loaders(load_splits(config.data, seed=0), config)
    trainer = {"world_size": devices, "limit_train_batches": 1.0, "val_check_interval": 1.0}
    trainer |= {"check_val_every_n_epoch": 1}
    with pytest.raises(InputError, match=words):
        check_batches(SimpleNamespace(**trainer, limit_val_batches=limit), loaders)
    check_batches(SimpleNamespace(**trainer, limit_val_batches=0), loaders)


def test_a_backbone_of_one_size_is_told_before_images_of_another_are_scored(tmp_path):
    """Digits are scored at their 8 pixels; its training on smaller crops would be of no use."""
    sizes = {"img_size": 4, "patch_size": 2, "embed_dim": 8, "depth": 1, "num_heads": 1}
    keys = {"augmentations": [{"crop_size": 4, "num_crops": 2}], "max_epochs": 1}
    config = tiny(tmp_path / "runs", **keys)
    config["backbone"] = {"name": "timm/vit_tiny_patch16_224", "kwargs": sizes}
    with pytest.raises(InputError, match="crop_size = 4: must be 8, .* or backbone.*dynamic_img_size=true"):
        pretrain(parse_config(config))
    assert list(tmp_path.iterdir()) == []
    config["backbone"]["kwargs"] = {**sizes, "dynamic_img_size": True}
    assert prepared(parse_config(config)).module.backbone.training


def test_bad_checkpoints_are_named(tmp_path):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"PK\x03\x04 not a checkpoint")
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    (tmp_path / "empty").mkdir()
    for path, words in ((damaged, "is damaged"), (foreign, "not a checkpoint of"), (tmp_path / "empty", "not a run")):
        with pytest.raises(InputError, match=words):
            load_pretrained(path)


# One for each backbone and data set but ViTs on ImageNet, which are slow here. Methods are tested with small backbones.
TYPICAL = ["cifar_mini/cplearn", "cifar_resnet18/cplearn", "auto/cplearn", "digits/cplearn"]
SHIPPED = [f"{path.parent.name}/{path.stem}" for path in sorted(PRETRAIN.glob("*/*.yaml"))]


@pytest.mark.parametrize("name", [n if n in TYPICAL else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED])
def test_every_shipped_configuration_trains_two_steps(name, tmp_path):
    """On digits where its own images would have to be downloaded or are the user's."""
    few = {"dataset": "digits", "val_path": None, "max_train_images": 300, "max_val_images": 4}
    change = {"data": few, "max_epochs": 1}
    folder, _, stem = name.partition("/")
    raw = tiny(tmp_path, stem, folder, batch_size=4, limit_train_batches=2, **change)
    trained = pretrain(parse_config(choose(raw).values))
    assert trained.module.trainer.global_step == 2


def test_each_backbone_and_data_set_that_is_shipped_has_a_typical_configuration():
    kinds = {name: composed(PRETRAIN / f"{name}.yaml") for name in SHIPPED}
    kinds = {name: (config.backbone.name, config.data.dataset) for name, config in kinds.items()}
    large = {("vit_small", "imagenet100"), ("resnet50", "imagenet")}
    assert {kinds[name] for name in TYPICAL} == set(kinds.values()) - large


@pytest.mark.parametrize(
    "name, ignored", [("cplearn", "method.packed_dictionary"), ("mocov2plus", "method.queue.rows")]
)
def test_buffers_that_are_equal_by_themselves_are_not_sent_to_other_processes(name, ignored, tmp_path):
    module = Pretrainer(parse_config(tiny(tmp_path, name)), num_classes=10, mean=[0.5] * 3, std=[0.5] * 3)
    names = module._ddp_params_and_buffers_to_ignore
    assert ignored in names and set(names) <= dict(module.named_buffers()).keys()
    assert set(names) & module.state_dict().keys() <= {"method.queue.rows"}


def test_the_online_probe_computes_in_float32_where_networks_do_not():
    classifier, (feats, labels) = nn.Linear(64, 10), (torch.randn(32, 64), torch.arange(32) % 10)

    def trained():
        return OnlineProbe(classifier, RunningScale(64), KNNEvalConfig(), num_classes=10).train([feats], labels)

    expected = trained()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert classifier(feats).dtype == torch.bfloat16
        for name, value in trained().items():
            assert torch.equal(value, expected[name]), name


def test_the_loss_of_the_online_probe_is_that_of_images_with_labels(tmp_path, monkeypatch):
    """A step without any is none of loss 0, and one with few of them counts less than one with many."""
    module = Pretrainer(parse_config(tiny(tmp_path)), num_classes=3, mean=[0.5], std=[0.5])
    logged, losses = {}, []
    monkeypatch.setattr(module, "log_dict", logged.update)
    for labels in ([0, 1, 2], [-1, -1, 1], [-1, -1, -1]):
        found = module.probe.train([torch.randn(3, module.backbone.num_features)], torch.tensor(labels))
        module.sums.add(found)
        losses.append(found["probe_loss"].item())
    module.on_train_epoch_end()
    assert logged["train_probe_loss"] == pytest.approx((3 * losses[0] + losses[1]) / 4)


def test_the_precision_of_products_is_of_gpus_only(tmp_path, monkeypatch):
    """A CPU keeps what it had, and a GPU's is put back when training ends."""
    config = parse_config(
        tiny(tmp_path, max_epochs=1, limit_train_batches=1, performance={"matmul_precision": "medium"})
    )
    seen, step = [], Pretrainer.training_step

    def looked_at(self, *args):
        seen.append(torch.get_float32_matmul_precision())
        return step(self, *args)

    monkeypatch.setattr(Pretrainer, "training_step", looked_at)
    pretrain(config)
    assert seen == ["highest"] == [torch.get_float32_matmul_precision()]
    with _matmul_precision(config, SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cuda")))):
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="PyTorch 2.8 and before")
def test_a_program_may_have_said_the_precision_of_gpus_alone(tmp_path):
    """Since when PyTorch does not say that of all devices."""
    config = parse_config(tiny(tmp_path, performance={"matmul_precision": "highest"}))
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        with _matmul_precision(config, SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cuda")))):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_statistics_come_from_the_training_images(tmp_path):
    splits = load_splits(parse_config(tiny(tmp_path)).data, seed=0)
    assert image_statistics(splits.train)["num_classes"] == 10


@pytest.mark.parametrize("knn, what", [(False, "embeddings"), (True, "features of held-out images")])
def test_what_overflows_though_losses_and_weights_are_finite_stops_the_run(knn, what, tmp_path):
    config = tiny(tmp_path, limit_train_batches=2, optimizer={"lr": 1e30}, knn_eval={"enabled": knn})
    words = f"method 'cplearn': the {what} are not finite after step 2; last good checkpoint: none yet .a smaller opt"
    with pytest.raises(InputError, match=words):
        pretrain(parse_config(config))


@pytest.mark.parametrize("poison, words", [("loss", "part 'prior' of the loss is nan"), ("weights", "weights are not")])
def test_a_loss_that_is_no_number_stops_the_run(poison, words, tmp_path, monkeypatch):
    """In the second of three epochs: the first one's checkpoint is named, stays as it was, and can be continued."""
    loss, steps = CPLearn.loss, 0

    def poisoned(self, views):
        nonlocal steps
        steps += 1
        parts = loss(self, views)
        if poison == "loss" and steps == 9:
            parts |= {"loss": parts["loss"] * float("nan"), "prior": parts["prior"] * float("nan")}
        elif poison == "weights" and steps == 12:
            next(self.parameters()).data.fill_(float("nan"))
        return parts

    config = tiny(tmp_path, max_epochs=3, knn_eval={"enabled": True})
    with monkeypatch.context() as context:
        context.setattr(CPLearn, "loss", poisoned)
        with pytest.raises(InputError) as error:
            pretrain(parse_config(config))
    (run,) = folders(tmp_path)
    last = run / "checkpoints/last.ckpt"
    assert words in str(error.value) and "method 'cplearn'" in str(error.value) and str(last) in str(error.value)
    assert "step 8:" in str(error.value) if poison == "loss" else "step 12" in str(error.value)
    state = torch.load(last, weights_only=True)
    assert state["epoch"] == 0 and all(v.isfinite().all() for v in state["state_dict"].values() if torch.is_tensor(v))
    pretrain(parse_config(config))
    assert len(EpochLog.read(run)) == 3
