"""All promises of a method, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cplearn_solo.testing.loop import Case
from cplearn_solo.testing.promises import (
    check_gradients,
    check_mixed_precision,
    check_reports,
    check_shapes,
    check_state,
    check_training,
)
from cplearn_solo.testing.two_processes import check_two_processes


def check_method(
    name: str,
    method_kwargs: Mapping[str, Any] | None = None,
    *,
    batch_size: int = 64,
    num_crops: Sequence[int] = (2,),
) -> None:
    """Raises ``AssertionError``, saying what is wrong, unless the method registered as ``name`` keeps all promises:

    * embeddings ``(n, f)``, codes ``(n,)`` and loss parts have their shapes, for any number of samples;
    * advice is for measures of the verdict, and rows for the collapse report have numbers;
    * gradients reach every weight of the backbone and of the method;
    * the loss is finite in bfloat16 mixed precision;
    * state survives saving and loading: the next steps are the same to the last bit; the method can be copied;
    * two processes with half a batch each compute the same loss and gradients as one with the whole batch, BatchNorm
      included, over three steps (for ``loss_scope`` "device": the same as the mean over halves, in one step);
    * after 60 training steps on digits, the loss is lower than without training.

    ``method_kwargs`` as in a configuration; ``num_crops``: for a method with ``multicrop``, the number of crops of each
    size, the largest size first, such as ``(2, 4)``. Prints a line if all promises are kept. Takes seconds. It starts
    two processes, so a script that calls it needs ``if __name__ == "__main__":``.
    """
    case = Case(name, dict(method_kwargs or {}), batch_size, tuple(num_crops))
    check_shapes(case)
    check_reports(case)
    check_gradients(case)
    check_mixed_precision(case)
    check_state(case)
    check_two_processes(case)
    check_training(case)
    print(f"{name} keeps all promises: shapes, reports, gradients, bfloat16, saving, two processes, training")
