"""Triton's kernels compile for GPUs that this machine need not have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

triton = pytest.importorskip("triton", minversion="3.3", reason="Triton is not installed, or compiles by other calls")
SHARED_BYTES_OF_AN_A100 = 163 * 1024  # that a block may have


def test_all_kernels_fit_an_a100_and_an_h100(tmp_path):
    programs = Path(triton.__file__).parent / "backends/nvidia/bin"
    for name in ("ptxas", "cuobjdump"):
        if not (programs / name).exists():
            pytest.skip(f"this Triton comes without {name}")
    # in a process of its own: in this one Triton may be an interpreter
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    found = subprocess.run(
        [sys.executable, Path(__file__).with_name("ahead_of_time.py"), tmp_path],
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    for line in lines:
        assert line["stack"] == 0, f"registers spill: {line}"
        assert line["registers"] <= 96 and line["shared"] <= SHARED_BYTES_OF_AN_A100, line
    for kernel in {line["kernel"] for line in lines}:
        types = " ".join(line["types"] for line in lines if line["kernel"] == kernel)
        wanted = ("bf16", "fp16") if kernel == "_entries" else ("fp32", "bf16", "fp16")
        assert all(f"*{dtype}" in types for dtype in wanted), f"{kernel} in {types} only"
    assert {line["sm"] for line in lines} == {80, 90} and len(lines) >= 42
