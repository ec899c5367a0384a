"""Questions and answers: from JSONL, or generated additions; and their tokens, of which only answers count."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import InputError, require

QUESTIONS, ANSWERS = ("question", "query", "problem"), ("answer", "response", "solution")  # GSM8K, MetaMath, MATH
IGNORED = -100  # the label of a token that is not learned
Pair = tuple[str, str]


def read_jsonl(key: str, file: str) -> list[Pair]:
    """Pairs from a file with one JSON object per line; blank lines are skipped.

    Raises ``InputError`` that names the line if it is no JSON, or has no question or no answer.
    """
    require(Path(file).is_file(), key, file, "a file of JSON lines")
    pairs = []
    for number, line in enumerate(Path(file).read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise InputError(f"{key}: line {number} of {file} must be JSON ({error})") from error
        entry = entry if isinstance(entry, dict) else {}
        found = [next((entry[name] for name in names if entry.get(name)), None) for names in (QUESTIONS, ANSWERS)]
        wanted = f"an object with one of {', '.join(QUESTIONS)} and one of {', '.join(ANSWERS)}, none empty"
        require(all(isinstance(text, str) for text in found), f"{key}: line {number} of {file}", line[:60], wanted)
        pairs.append((found[0], found[1]))
    require(bool(pairs), key, file, "a file with at least one question")
    return pairs


def additions(count: int, *, seed: int) -> tuple[list[Pair], list[Pair]]:
    """``count`` pairs to train on, and the other sums of two numbers below 100."""
    pairs = [(f"{a:02}+{b:02}=", f"{a + b:03}") for a in range(100) for b in range(100)]
    random.Random(seed).shuffle(pairs)
    return pairs[:count], pairs[count:]


def tokens(pairs: list[Pair], tokenizer: Any, *, template: str, longest: int) -> list[dict[str, list[int]]]:
    """``input_ids`` and ``labels`` of each pair, cut to ``longest``; the question's labels are ``IGNORED``.

    Pairs whose question leaves no room for an answer are left out with a message; ``InputError`` if all are.
    """
    rows = []
    for question, answer in pairs:
        asked = tokenizer.encode(template.format(question), add_special_tokens=False)
        told = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
        if len(asked) < longest:
            rows.append({"input_ids": [*asked, *told][:longest], "labels": [*[IGNORED] * len(asked), *told][:longest]})
    require(bool(rows), "--train", f"{len(pairs)} questions", f"some with fewer than {longest} tokens")
    if len(rows) < len(pairs):
        print(f"{len(pairs) - len(rows)} questions of {longest} tokens or more are left out")
    return rows


def padded(rows: list[dict[str, list[int]]], pad: int) -> dict[str, Any]:
    """A batch of rows, padded on the right."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": pad, "labels": IGNORED}
    batch = {
        name: torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows])
        for name, value in fill.items()
    }
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    return {**batch, "attention_mask": (torch.arange(longest) < lengths[:, None]).long()}
