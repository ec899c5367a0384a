"""Memory of a process inside of control groups, which are files here."""

import pytest

from cplearn_solo.core import memory as module
from cplearn_solo.core.memory import memory_there


@pytest.mark.parametrize(
    ("line", "files", "limit"),
    [
        ("0::/", {"memory.max": "5000\n"}, 5000),  # a container
        ("0::/job_1/step_0", {"job_1/memory.max": "7000", "job_1/step_0/memory.max": "max"}, 7000),  # SLURM
        ("0::/a/b", {"a/memory.max": "3000", "a/b/memory.max": "4000"}, 3000),
        ("4:memory:/docker/f00", {"memory/memory.limit_in_bytes": "6000"}, 6000),  # version 1, seen from inside
        ("3:cpu,cpuacct:/", {"memory.max": "5000"}, None),
        ("0::/", {"memory.max": "max"}, None),
        ("0::/", {}, None),
        (None, {}, None),
    ],
)
def test_a_container_leaves_what_its_limit_is(tmp_path, monkeypatch, line, files, limit):
    monkeypatch.setattr(module, "OF_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(module, "GROUPS", tmp_path / "groups")
    whole = memory_there()
    if line is not None:
        (tmp_path / "cgroup").write_text(f"1:name=systemd:/\n{line}\n")
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    assert memory_there() == (limit or whole)
