"""What ends a program, in a line."""

import pytest

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.user_errors import user_errors


@pytest.mark.parametrize(
    "error, code, line",
    [
        (InputError("seed = -1: must be\nat least 0"), 2, "it: error: seed = -1: must be at least 0"),
        (KeyboardInterrupt(), 130, "it: interrupted"),
        (KeyboardInterrupt("the same command goes on"), 130, "it: interrupted; the same command goes on"),
    ],
)
def test_bad_input_and_an_interruption_are_a_line_and_an_exit_code(error, code, line, capsys):
    with pytest.raises(SystemExit) as end, user_errors("it"):
        raise error
    assert end.value.code == code and capsys.readouterr().err == f"{line}\n"
