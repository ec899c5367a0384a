"""What a device cannot do is one line before anything is written."""

from contextlib import nullcontext

import pytest
import torch
from support.configs import tiny
from support.runs import folders

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.engine.devices import check_device
from cplearn_solo.engine.train import pretrain
from cplearn_solo.methods import build_method


@pytest.mark.integration
def test_an_implementation_for_gpus_is_refused_before_there_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    config = parse_config(tiny(tmp_path, method_kwargs={"impl": "triton"}))
    with pytest.raises(
        InputError, match="^method_kwargs.impl = 'triton': must be auto or chunked for embeddings on cpu, not on a GPU$"
    ):
        pretrain(config)
    assert not folders(tmp_path)


@pytest.mark.parametrize("has_units", [True, False])
def test_bfloat16_needs_a_gpu_with_units_for_it(tmp_path, monkeypatch, has_units):
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_units)
    method = build_method("simsiam", 8, batch_size=4, method_kwargs={})
    gpu, exact, half = torch.device("cuda", 1), *(parse_config(tiny(tmp_path, precision=p)) for p in (32, "bf16-mixed"))
    check_device(exact, method, gpu)
    check_device(half, method, torch.device("cpu"))
    line = "^precision = 'bf16-mixed': must be 16-mixed or 32-true, as cuda:1 has no units for bfloat16$"
    with nullcontext() if has_units else pytest.raises(InputError, match=line):
        check_device(half, method, gpu)


def test_float16_on_a_cpu_is_told_to_be_another(tmp_path):
    method = build_method("simsiam", 8, batch_size=4, method_kwargs={})
    with pytest.warns(Notice, match="precision = 16-mixed is bf16-mixed on a CPU"):
        check_device(parse_config(tiny(tmp_path, precision="16-mixed")), method, torch.device("cpu"))


@pytest.mark.parametrize("has_streams", [True, False])
def test_fsdp2_on_cpus_takes_a_pytorch_that_has_it(tmp_path, monkeypatch, has_streams):
    monkeypatch.setattr(torch.cpu, "Stream", type("Stream", (), {"record_event": None} if has_streams else {}))
    method = build_method("simsiam", 8, batch_size=4, method_kwargs={})
    config = parse_config(tiny(tmp_path, strategy="fsdp2", devices=2))
    line = "^strategy = 'fsdp2': must be ddp, as this PyTorch has fsdp2 on GPUs only$"
    with nullcontext() if has_streams else pytest.raises(InputError, match=line):
        check_device(config, method, torch.device("cpu"))
