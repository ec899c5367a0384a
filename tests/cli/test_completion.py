"""What a shell is offered after a few letters."""

from argparse import Namespace

import pytest

from cplearn_solo.cli.completion import _configurations, _keys


@pytest.mark.parametrize(
    "command, given, prefix, offered",
    [
        ("pretrain", [], "optimizer.l", ["optimizer.lr="]),
        ("pretrain", [], "augmentations.0.rrc.crop_mi", ["augmentations.0.rrc.crop_min_scale="]),
        ("pretrain", [], "method_kwargs.be", ["method_kwargs.beta="]),
        ("pretrain", ["method=swav"], "method_kwargs.queue", ["method_kwargs.queue_size="]),
        ("pretrain", [], "method=byo", ["method=byol"]),
        ("knn", [], "temp", ["temperature="]),
        ("detect", [], "model.ne", ["model.neck="]),
        ("table", [], "rerun", ["rerun_stale="]),
    ],
)
def test_keys(command, given, prefix, offered):
    found = _keys(command)(prefix=prefix, parsed_args=Namespace(rest=given))
    assert [key for key in found if key.startswith(prefix)] == offered


def test_configurations_are_those_of_the_folder():
    assert "byol.yaml" in _configurations("pretrain")(parsed_args=Namespace())
    path = "scripts/pretrain/imagenet-100"
    found = ["barlow_twins.yaml", "cplearn.yaml", "dino.yaml", "gedi_nogen.yaml", "swav.yaml"]
    assert _configurations("pretrain")(parsed_args=Namespace(config_path=path)) == found


def test_the_shell_gets_commands(monkeypatch, tmp_path, here):
    pytest.importorskip("argcomplete", reason="it is an extra")
    for name, value in {
        "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": "cplearn pre", "COMP_POINT": "11",
        "COMP_TYPE": "9", "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os._exit", lambda code: (_ for _ in ()).throw(SystemExit(code)))
    here()
    assert (tmp_path / "answer").read_text().strip() == "pretrain"
