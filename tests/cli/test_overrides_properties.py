"""Text on the command line stays as it was typed, unless it is Hydra's or YAML's own notation."""

from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.cli.data_keys import OF_YAML, data_keys
from cplearn_solo.cli.hydra_app import composed_by

SIGNS = "abcxyz 0159eE_.:-+/#&;!<>^`~|%@=?*é写😀"
NOTATION = ",()[]{}'\"\\$\t\n\x7f\x85\u2028\udce9"
LIKE_NUMBERS = st.from_regex(r"[-+]?[0-9_]{1,3}[.:x]?[0-9_]{0,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True)


@given(st.lists((st.text(SIGNS) | LIKE_NUMBERS).map(str.strip), min_size=3, max_size=3))
def test_text_keys_of_a_configuration_are_read_as_typed(texts):
    texts = [text for text in texts if not text.startswith("~") and text not in ("", "???", "null")]
    keys = ["name", "wandb.project", "data.label_column"][: len(texts)]
    config = composed_by(
        ["-cp", "scripts/pretrain/digits", *(f"{k}={t}" for k, t in zip(keys, texts))], config="cplearn.yaml"
    )
    found = [config.get("name"), config.get("wandb", {}).get("project"), config.get("data", {}).get("label_column")]
    assert found[: len(texts)] == texts


@given(st.text(SIGNS + NOTATION) | LIKE_NUMBERS)
def test_data_keys_that_are_text_are_read_as_typed(text):
    if not text.startswith(OF_YAML):
        assert data_keys([f"label_column={text}", f"data.background={text}"]) == {
            "label_column": text,
            "background": text,
        }
