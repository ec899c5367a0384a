"""How soon programs say something: lists, help and mistakes need neither PyTorch nor Lightning."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

# cplearn with each list of arguments; then what it took long to import
PROGRAM = """
import json, sys
from cplearn_solo.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["cplearn", *arguments]
    try:
        main()
    except SystemExit as end:
        print("exit", end.code or 0)
print([name for name in ("torch", "lightning", "sklearn", "jinja2") if name in sys.modules])
"""
MISTAKES = {
    "pretrian": "did you mean 'pretrain'",
    "pretrain --config-name cplern.yaml": "did you mean 'cplearn.yaml'",
    "pretrain --config-path scripts/pretrain/cifra": "did you mean 'scripts/pretrain/cifar'",
    "pretrain whatever": "override = 'whatever': must be key=value",
    "pretrain optimizer.lr=[1,2": "optimizer.lr",
    "pretrain seed=20261121120000": "below 2**32",
    "pretrain enable_checkpointing=false": "enable_checkpointing",
    "linear": "pretrained is missing",
    "linear pretraind=x": "did you mean 'pretrained'",
    "linear pretrained=${foo}": "foo",
    "linear pretrained=x protocol=paper optimizer.batch_size=0": "optimizer.batch_size = 0: must be at least 1",
    "knn pretrained=x num_workers=-1": "num_workers = -1: must be auto or an integer from 0 up",
    "clustering pretrained=x seed=-1": "seed = -1: must be at least 0 and below 2**32",
    "pretrain optimizer.lrr=1": "unknown key of optimizer 'lrr': did you mean 'lr'?",
    "pretrain max_epoch=1": "did you mean 'max_epochs'?",
    "pretrain benchmarkk=true": "did you mean 'benchmark'?",
    "pretrain data.dataset=digit": "did you mean 'digits'?",
    "pretrain data.fraction=2": "data.fraction = 2.0: must be",
    "pretrain method=cplern": "did you mean 'cplearn'?",
    "pretrain method_kwargs.bta=1": "did you mean 'beta'?",
    "pretrain method_kwargs.beta=much": "method_kwargs.beta = 'much': must be of type",
    "pretrain optimizer.lr=fast": "optimizer.lr = 'fast'",
    "pretrain max_epochs=0": "max_epochs = 0: must be at least 1",
    "pretrain -m on_collapse=halt,never": "unknown on_collapse 'halt'",
    "pretrain backbone.name=resnet99": "unknown backbone 'resnet99'",
    "pretrain accelerator=tpu": "unknown accelerator 'tpu'",
    "pretrain precision=8": "precision = 8: must be",
    "pretrain data.dataset=custom data.train_path=nowhere": "must be a file or folder that exists",
    "pretrain data.train_path=nowhere": "must be a file or folder that exists",
    "pretrain dry_run=maybe": "dry_run = 'maybe': must be true or false",
    "pretrain resume_from_checkpoint=nowhere": "nowhere does not exist",
    "linear pretrained=nowhere": "nowhere does not exist",
    "linear nowhere": "nowhere does not exist",
    "clustering -cn cplearn.yaml nowhere protocol=train": "nowhere does not exist",
    "linear x finetune=true": "paper with finetune=true, which is trained by steps: --config-name finetune.yaml",
    "linear x augment=true": "paper with augment=true, which is trained by steps: --config-name paper.yaml",
    "export nowhere file.pt": "nowhere does not exist",
    "embed nowhere images out": "nowhere does not exist",
    "embed x images out.txt": "OUT = 'out.txt': must be a file that ends in .parquet",
    "predict nowhere images out": "nowhere does not exist",
    "predict x images out.npy": "OUT = 'out.npy': must be a file that ends in .csv, .parquet",
    "collapse nowhere": "RUN = 'nowhere': must be a run folder",
    "gallery nowhere images": "nowhere does not exist",
    "gallery x images page.png": "OUT = 'page.png': must be a file that ends in .html",
    "linear pretrained=x optimizer.lrr=1": "did you mean 'lr'?",
    "linear pretrained=x optimizer.name=lbfgs": "unknown optimizer.name 'lbfgs'",
    "linear pretrained=x optimizer.lr=[0.1,fast]": "optimizer.lr = 'fast': must be a finite number above 0",
    "knn pretrained=x k=0": "k = 0: must be at least 1",
    "knn pretrained=x temperature=0": "temperature = 0.0: must be a number above 0",
    "knn pretrained=x data.val_pth=y": "did you mean 'val_path'?",
    "clustering pretrained=x protocol=y": "unknown protocol 'y'",
    "clustering pretrained=x accelerator=tpu": "unknown accelerator 'tpu'",
    "detect": "pretrained is missing: cplearn detect RUN_OR_CHECKPOINT",
    "detect nowhere": "nowhere does not exist",
    "detect x model.nck=c4": "unknown key of model 'nck': did you mean 'neck'?",
    "detect x data.train=a.json": "data.val = None: must be set with data.dataset=coco",
    "tune budget=0": "budget = 0: must be at least 1",
    "tune score=linear": "unknown score 'linear': did you mean 'linear_acc1'?",
    "tune data.train_path=. data.no_labels=true": "score = 'linear_acc1': must be rankme",
    "tune space=nowhere.yaml": "space = 'nowhere.yaml': must be a YAML file",
    "dino x --method byol": "must be one without a teacher",
    "dino x --method cplearn --bta 1": "did you mean 'beta'?",
    "dino nowhere --method cplearn": "nowhere: must be main_dino.py in a checkout of",
    "pretrain devices=0": "devices = 0: must be a number from 1, a list",
    "pretrain devices=9999 accelerator=cpu": "devices = 9999: must be at most",
    "pretrain performance.graph=true accelerator=cpu": "performance.graph = True: must be false on a CPU",
    "pretrain strategy=dpp": "unknown strategy 'dpp': did you mean 'ddp'?",
    "pretrain max_time=1h": "max_time = '1h': must be days, hours",
    "pretrain scheduler.lr_decay_steps=[3]": "lr_decay_steps = [3]: must be null with scheduler.name=warmup_cosine",
    "pretrain augmentations=[{crop_size:8},{crop_size:8,std:[1,1,1]}]": "augmentations.1.std = [1.0, 1.0, 1.0]: must",
    "tune slurm.timeout_min=60": "slurm = {'timeout_min': 60}: must be absent with launcher=local",
    "pretrain min_epochs=3": "min_epochs = 3: must be absent: max_steps, max_time and signals end a run before it",
    "pretrain max_steps=many": "max_steps = 'many': must be of type int",
    "pretrain optimizer.kwargs.bets=1": "unknown key of optimizer.kwargs for adam 'bets': did you mean 'betas'?",
    "pretrain optimizer.name=lars optimizer.kwargs.etaa=1": "did you mean 'eta'?",
    "pretrain optimizer.name=lars optimizer.kwargs.eta=x": "optimizer.kwargs.eta = 'x': must be of type float",
    "pretrain optimizer.kwargs.betas=3": "optimizer.kwargs.betas = 3: must be of type",
    "pretrain optimizer.kwargs.amsgrad=1": "optimizer.kwargs.amsgrad = 1: must be of type bool",
    "pretrain backbone.weights=nowhere": "backbone.weights = 'nowhere': must be a run folder",
    "pretrain resume_from_checkpoint=damaged.npy": "damaged.npy is damaged or no checkpoint",
    "linear pretrained=damaged.npy": "damaged.npy is damaged or no checkpoint",
    "check nowhere": "data.train_path = 'nowhere': must be a file or folder that exists",
    "check . --sheet nowhere/x.png": "--sheet = 'nowhere/x.png': must be",
    "collapse damaged.npy --images 1": "--images = 1: must be at least 2",
    "collapse damaged.npy --protocol relased": "unknown --protocol 'relased': did you mean 'released'?",
    "collapse damaged.npy --data val_pth=x": "unknown key 'val_pth': did you mean 'val_path'?",
    "embed x images out --accelerator gpuu": "unknown --accelerator 'gpuu': did you mean 'gpu'?",
    "embed x images out --space bots": "unknown --space 'bots': did you mean 'bits'?",
    "embed x images out --batch-size 0": "--batch-size = 0: must be at least 1",
    "gallery x images --seed -1": "--seed = -1: must be at least 0",
    "search nowhere index.parquet a.jpg": "nowhere does not exist",
    "search x index.parquet a.jpg --top 0": "--top = 0: must be at least 1",
    "table workers=0": "workers = 0: must be at least 1",
    "tune devices=9999 accelerator=cpu": "devices = 9999: must be at most",
    "solo-learn nowhere.py": "PATH = 'nowhere.py': must be a script",
}
OF_NETWORKS = {  # mistakes that constructors find, which needs PyTorch
    "pretrain method_kwargs.eps=2": "method_kwargs.eps = 2: must be above 0 and below 1/c",
    "pretrain method_kwargs.proj_output_dim=0": "method_kwargs.proj_output_dim = 0: must be at least 1",
    "pretrain backbone.kwargs.width=-3": "backbone.kwargs.width = -3: must be an integer from 1 up",
    "pretrain backbone.kwargs.depth=3": "backbone.kwargs = {'width': 32, 'depth': 3}: must be keywords that 'resnet8'",
    "pretrain optimizer.kwargs.betas=[0.9]": "optimizer.kwargs = {'betas': [0.9]}: adam refuses them",
    "pretrain optimizer.kwargs.foreach=true": "optimizer.kwargs = {'foreach': True}: adam refuses them",
}
LISTS = (
    "--help",
    "--version",
    "pretrain --help",
    "pretrain --cfg job",
    "table --help",
    "table --cfg job",
    "tune --help",
    "tune --cfg job",
    "detect --cfg job",
    "linear --help",
    "embed --help",
    "collapse --help",
    "gallery --help",
    "dino --method cplearn --help",
    "methods",
    "backbones",
    "datasets",
)


def python(program, *arguments, cwd):
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(cwd)])}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return done, time.perf_counter() - start


def test_what_is_wrong_is_told_before_anything_large_is_imported(tmp_path):
    (tmp_path / "damaged.npy").touch()
    arguments = [line.split() for line in (*LISTS, *MISTAKES)]
    done, _ = python(PROGRAM, json.dumps(arguments), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(told) == len(MISTAKES), done.stderr
    for line, (mistake, words) in zip(told, MISTAKES.items()):
        assert line.startswith((f"{mistake.split()[0]}: error: ", "cplearn: error: unknown command")), line
        assert words in line, line
    assert done.stdout.count("exit 2") == len(MISTAKES)
    assert done.stdout.splitlines()[-1] == "[]"
    assert [path.name for path in tmp_path.rglob("*")] == ["damaged.npy"]


def test_what_constructors_refuse_is_told_before_images_are_looked_at(tmp_path):
    done, _ = python(PROGRAM, json.dumps([line.split() for line in OF_NETWORKS]), cwd=tmp_path)
    told = done.stderr.splitlines()
    assert len(told) == len(OF_NETWORKS), done.stderr
    for line, words in zip(told, OF_NETWORKS.values()):
        assert line.startswith(f"pretrain: error: {words}"), line
    assert done.stdout.splitlines() == ["exit 2"] * len(OF_NETWORKS) + ["['torch']"]


@pytest.mark.parametrize(
    "program, seconds",  # five times what an idle machine is to take
    [
        ("import cplearn_solo", 1.5),
        ("from cplearn_solo.cli import main; import sys; sys.argv = ['cplearn', '--help']; main()", 2.5),
        ("from cplearn_solo.cli import pretrain; pretrain(['--help'])", 2.5),
        ("from cplearn_solo.cli import pretrain; pretrain(['optimizer.lrr=1'])", 10),
    ],
)
def test_time_to_the_first_word(program, seconds, tmp_path):
    assert min(python(program, cwd=tmp_path)[1] for _ in range(2)) < seconds


def test_a_plugin_is_imported_when_it_is_asked_for_and_a_broken_one_is_one_line(tmp_path):
    (tmp_path / "broken-1.dist-info").mkdir()
    (tmp_path / "broken-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (tmp_path / "broken-1.dist-info/entry_points.txt").write_text(
        "[cplearn_solo.methods]\nmine = broken:Mine\nends = ends:Ends\n"
    )
    (tmp_path / "ends.py").write_text("raise SystemExit(2)\n")
    (tmp_path / "broken.py").write_text("open('imported', 'w').close()\nimport nothing\n")
    others = ["pretrain method_kwargs.bta=1", "pretrain method=minee", "dino x --method swav --bta 1"]
    done, _ = python(PROGRAM, json.dumps([line.split() for line in others]), cwd=tmp_path)
    assert "did you mean 'beta'" in done.stderr and "did you mean 'mine'" in done.stderr
    assert not (tmp_path / "imported").exists()

    asked = ["pretrain method=mine", "dino x --method mine", "dino x", "methods"]
    done, _ = python(PROGRAM, json.dumps([line.split() for line in asked]), cwd=tmp_path)
    reason = "method = 'mine': broken:Mine cannot be imported: No module named 'nothing'"
    told = done.stderr.splitlines()
    assert told[:2] == [f"pretrain: error: {reason}", f"dino: error: {reason}"], done.stderr
    assert "choices are barlow_twins, cplearn" in told[2] and "mine" not in told[2].split("choices")[1]
    assert "ends: method = 'ends': ends:Ends cannot be imported: 2" in done.stdout
    assert f"mine: {reason}" in done.stdout and "cplearn: " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
