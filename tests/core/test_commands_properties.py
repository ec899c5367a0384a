"""A shell reads a printed command as the words that it was made of."""

import shlex
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.core.commands import typed

QUOTES = st.text("ab '\\")  # double quotes around these
WORDS = st.lists(QUOTES | st.text("ab= '\"$`\\!*?~#&;|<>()[]{}\n\té写😀"), min_size=1, max_size=5)


@given(WORDS)
def test_a_shell_gives_back_the_words(words):
    command = typed(words)
    assert shlex.split(command) == words
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().split("\0")[:-1] == words
