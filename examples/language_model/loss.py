"""The loss that transformers' Trainer minimises: cross-entropy, or Eq. 16 of Matrix-SSL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from questions import IGNORED
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.losses import language_model_loss

LOSSES = ("ce", "mce")


def loss_of(name: str, head: Callable[[], Tensor], *, mu: float, order: int | None) -> Callable[..., Tensor]:
    """``compute_loss_func`` of a Trainer: mean over the tokens of answers, each predicted from those before it.

    ``mce`` is Eq. 16, in which the vectors of tokens are the rows of the LM head's weight, which ``head`` returns. They
    get no gradient through the matrices, because equal vectors would make the second term 0.
    """

    def compute(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        logits, targets = outputs.logits[:, :-1], labels[:, 1:]
        known = targets != IGNORED
        logits, targets = logits[known], targets[known]
        if name == "ce":
            loss = F.cross_entropy(logits.float(), targets)
        else:
            loss = language_model_loss(logits, targets, head().detach(), mu=mu, order=order).loss
        # if a step has several batches, each is weighted by its number of tokens
        return loss if num_items_in_batch is None else loss * len(targets) / num_items_in_batch

    return compute


@torch.no_grad()
def answers(model: Any, tokenizer: Any, questions: list[str], *, batch_size: int, longest: int) -> list[str]:
    """The model's answer to each question by greedy decoding."""
    tokenizer.padding_side = "left"
    said: list[str] = []
    model.eval()
    for start in range(0, len(questions), batch_size):
        asked = tokenizer(
            questions[start : start + batch_size], return_tensors="pt", padding=True, add_special_tokens=False
        )
        ids, mask = asked["input_ids"].to(model.device), asked["attention_mask"].to(model.device)
        made = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=longest,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
        said += tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True)
    return said
