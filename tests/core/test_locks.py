"""Locks between processes, also where a file system has none."""

import errno

import pytest

from cplearn_solo.core.locks import is_held, locked, locked_folder, try_lock


def test_one_process_holds_a_lock(tmp_path):
    file = tmp_path / ".lock"
    lock = try_lock(file)
    assert is_held(file) and try_lock(file) is None
    lock.release()
    with locked(file):
        assert is_held(file)
    assert not is_held(file)


@pytest.fixture
def drive(monkeypatch):
    """A file system that says something when a file is to be locked."""
    fcntl = pytest.importorskip("fcntl")

    def says(number):
        def refused(*_):
            raise OSError(number, "?")

        monkeypatch.setattr(fcntl, "flock", refused)

    return says


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_drive_without_locks_is_worked_on(number, drive, tmp_path):
    drive(number)
    file = tmp_path / ".lock"
    try_lock(file).release()
    with locked(file), locked_folder(tmp_path / "new", key="folder", work="works"):
        assert not is_held(file)


def test_what_else_a_drive_says_is_told(drive, tmp_path):
    drive(errno.EIO)
    with pytest.raises(OSError, match="Errno 5"):
        try_lock(tmp_path / ".lock")
