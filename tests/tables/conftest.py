"""``cplearn table`` as a user calls it, in this process."""

import csv
import sys

import pytest

from cplearn_solo.cli import main


@pytest.fixture
def table(capfd):
    """Function that runs ``cplearn table ARGUMENTS`` in a folder: exit code, output and errors."""

    def run(folder, *arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["cplearn", "table", *arguments])
            capfd.readouterr()
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code or 0
            return code, *capfd.readouterr()

    return run


@pytest.fixture
def numbers():
    """Function from a folder of results to the lines of its CSV file, by row and score."""

    def read(folder):
        with open(folder / "table.csv", newline="") as file:
            return {(line["row"], line["score"]): line for line in csv.DictReader(file)}

    return read
