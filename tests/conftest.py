"""Tests run in a process a core, ``-n 0`` runs them in one; Triton's kernels run in its interpreter without a GPU."""

import os
import resource
import signal
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # read when PyTorch is imported: processes side by side have a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from support import chromium

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell does to what runs in the background; tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)

MOST_PROCESSES = 4  # each holds a PyTorch of its own

# Hypothesis keeps what it reads of source files, and would do so in a folder of its own.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(__file__).parents[1] / ".pytest_cache/hypothesis"))

try:
    from hypothesis import settings

    settings.register_profile("few", max_examples=25, deadline=None, derandomize=True, database=None)
    settings.register_profile("many", settings.get_profile("few"), max_examples=1000)
    settings.load_profile("few")
except ModuleNotFoundError:  # `pytest -m cuda` does without
    collect_ignore_glob = ["*_properties.py"]

    def pytest_report_header():
        return "hypothesis is not installed: tests of properties are left out"


if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.hookimpl(optionalhook=True)  # xdist need not be there: benchmarks/gpu.py runs tests without it
def pytest_xdist_auto_num_workers(config):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a GPU, and torch.cuda.is_available() is False"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A headless Chromium."""
    if chromium.PROGRAM is None:
        pytest.skip("needs Chromium, and there is no program chromium, chromium-browser or google-chrome")
    with chromium.Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def small_files():
    """No file may grow beyond 1,000 bytes, which is as a full disk to a program."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
