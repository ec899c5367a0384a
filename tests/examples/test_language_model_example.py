"""The language-model example: answers, questions and loss without its extra, and a short training with it."""

import argparse
import doctest
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import language_model_loss

FOLDER = Path(__file__).parents[2] / "examples/language_model"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


class Letters:
    """A tokenizer with a token a character, without transformers."""

    eos_token_id = 0

    def encode(self, text, add_special_tokens=True):
        return [ord(letter) - 40 for letter in text]


def test_documented_answers():
    import answers

    assert doctest.testmod(answers).failed == 0


@pytest.mark.parametrize(
    "benchmark, given, right, same",
    [
        ("gsm8k", "3 + 4 = 7. The answer is: 7", "It is 3 + 4 = <<3+4=7>>7\n#### 7", True),
        ("gsm8k", "The answer is $1,250.00.", "#### 1250", True),
        ("gsm8k", "#### -3", "#### 3", False),
        ("gsm8k", "I do not know", "#### 3", False),
        ("math", r"\boxed{\frac{1}{2}}", r"$\boxed{\dfrac{1}{2}}$", True),
        ("math", r"The answer is: \frac{\sqrt{3}}{2}", r"so \boxed{\frac{\sqrt{3}}{2}}.", True),
        ("math", r"\boxed{1} and \boxed{x^{2}}", r"\boxed{x^{2}}", True),
        ("math", r"\boxed{12\text{ cm}}", r"\boxed{12}", True),
        ("math", r"\boxed{0.50}", r"\boxed{.5}", False),
        ("math", "12", r"\boxed{12}", False),
    ],
)
def test_exact_match(benchmark, given, right, same):
    from answers import exact_match

    assert exact_match([given], [right], benchmark) == same


def test_json_lines_are_read_and_mistakes_name_their_line(tmp_path):
    from questions import read_jsonl

    file = tmp_path / "x.jsonl"
    file.write_text('{"query": "1+1", "response": "2"}\n\n{"problem": "q", "solution": "s"}\n')
    assert read_jsonl("--train", str(file)) == [("1+1", "2"), ("q", "s")]
    for line, words in (
        ("{", "--train: line 2 of .* must be JSON"),
        ('{"query": "1+1", "response": ""}', "line 2 of .* one of answer, response, solution, none empty"),
        ("[1]", "line 2 of"),
    ):
        file.write_text(f'{{"query": "1+1", "response": "2"}}\n{line}\n')
        with pytest.raises(InputError, match=words):
            read_jsonl("--train", str(file))
    file.write_text("\n\n")
    with pytest.raises(InputError, match="must be a file with at least one question"):
        read_jsonl("--train", str(file))
    with pytest.raises(InputError, match="--train = 'nowhere': must be a file of JSON lines"):
        read_jsonl("--train", "nowhere")


def test_only_answers_are_learned_and_batches_are_padded():
    from questions import IGNORED, additions, padded, tokens

    train, test = additions(30, seed=1)
    assert len(train) == 30 and len(test) == 9970 and not set(train) & set(test)
    assert all(int(q[:2]) + int(q[3:5]) == int(a) for q, a in train)
    rows = tokens([("1+2=", "3"), ("1=", "1")], Letters(), template="{}", longest=6)
    assert rows[0] == {"input_ids": [9, 3, 10, 21, 11, 0], "labels": [IGNORED] * 4 + [11, 0]}
    batch = padded(rows, pad=7)
    assert batch["input_ids"][1].tolist() == [9, 21, 9, 0, 7, 7]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    assert batch["labels"][1].tolist() == [IGNORED, IGNORED, 9, 0, IGNORED, IGNORED]
    with pytest.raises(InputError, match="some with fewer than 2 tokens"):
        tokens([("1+2=", "3")], Letters(), template="{}", longest=2)


@pytest.mark.parametrize("order", [None, 4])
def test_the_loss_is_of_the_tokens_of_answers_from_those_before(order):
    from loss import loss_of
    from questions import IGNORED

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 9, generator=generator, requires_grad=True)
    head = torch.randn(9, 5, generator=generator, requires_grad=True)
    labels = torch.tensor([[IGNORED, IGNORED, 3, 1], [IGNORED, 4, 2, IGNORED]])
    rows, targets = logits[[0, 0, 1, 1], [1, 2, 0, 1]], torch.tensor([3, 1, 4, 2])
    outputs = SimpleNamespace(logits=logits)
    ce = loss_of("ce", lambda: head, mu=1e-3, order=order)
    torch.testing.assert_close(ce(outputs, labels), F.cross_entropy(rows, targets))
    torch.testing.assert_close(ce(outputs, labels, num_items_in_batch=8), F.cross_entropy(rows, targets) / 2)
    mce = loss_of("mce", lambda: head, mu=1e-3, order=order)(outputs, labels)
    torch.testing.assert_close(mce, language_model_loss(rows, targets, head, mu=1e-3, order=order).loss)
    mce.backward()
    assert head.grad is None and logits.grad[0, 3].abs().sum() == 0


def options(tmp_path, **changes):
    given = {"scale": "mini", "train": None, "test": None, "benchmark": "gsm8k", "model": None, "tokenizer": None}
    given |= {"loss": ["ce", "mce"], "seeds": 1, "steps": 2, "mu": 1e-5, "order": 4, "out": str(tmp_path / "out")}
    return argparse.Namespace(**{**given, **changes})


def test_missing_packages_are_told(tmp_path, monkeypatch):
    import main

    monkeypatch.setattr(main, "find_spec", lambda name: None if name == "peft" else name)
    with pytest.raises(InputError, match=r"peft not installed: pip install 'cplearn-solo\[llm\]'"):
        main.run(options(tmp_path))
    assert not (tmp_path / "out").exists()


def test_a_short_training_with_both_losses(tmp_path, monkeypatch, capsys):
    for name in ("transformers", "accelerate", "peft"):
        pytest.importorskip(name, reason=f"{name}, of the extra llm, is not installed")
    import main

    monkeypatch.setattr(main, "ASKED", 20)
    results = main.run(options(tmp_path))
    assert [each["loss"] for each in results] == ["ce", "mce"] and all(
        0 <= each["exact_match"] <= 1 for each in results
    )
    kept = json.loads((tmp_path / "out/results.json").read_text())
    assert kept["results"] == results and "Eq. 16" in (tmp_path / "out/table.md").read_text()
    monkeypatch.setattr(main, "_one", None)  # what is kept is not run again
    assert main.run(options(tmp_path)) == results
    with pytest.raises(InputError, match="--out = .*: must be another folder"):
        main.run(options(tmp_path, steps=3))


def test_a_tokenizer_that_does_not_fit_is_told():
    from models import check_fit

    model = SimpleNamespace(get_input_embeddings=lambda: torch.nn.Embedding(5, 2))
    with pytest.raises(InputError, match="--tokenizer = 'x': must be the model's own: it has 9 tokens, the model 5"):
        check_fit(model, type("T", (), {"__len__": lambda self: 9, "eos_token_id": 1})(), "x")
    with pytest.raises(InputError, match="must be one with an end of text"):
        check_fit(model, type("T", (), {"__len__": lambda self: 3, "eos_token_id": None})(), "x")
