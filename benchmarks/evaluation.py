"""Evaluation of frozen features against its plain form: python benchmarks/evaluation.py

50,000 training and 10,000 test rows of 512 features in 10 classes. The converged probe, including the search for its
penalty, is compared with scikit-learn's logistic regression at the chosen penalty. The plain form of the paper's linear
probe is ``nn.Linear`` with automatic differentiation and ``torch.optim.Adam``, one learning rate after the other. Plain
neighbours and plain codes hold all similarities and all logits at once. Both sides take turns in one run; medians of
five. The paper's probes train one epoch per turn, and the time is shown times 100. The floor is the time of the matrix
products at the speed of a large product on this machine; for the converged probe, of a single pass over all rows.
Memory is the peak of a separate process, minus its memory after the imports; it includes the 123 MB of features, or the
dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from shared import flops_a_second, own_process, run, timed, turn_by_turn
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.evaluation.heads import train_heads
from cplearn_solo.evaluation.linear import LinearResult, linear_probe
from cplearn_solo.methods import build_method
from cplearn_solo.metrics import knn_accuracy
from cplearn_solo.metrics.scale import scale_of

TRAIN, TEST, D, K, BATCH = 50_000, 10_000, 512, 10, 256
RATES = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1]
F_CODES, CODES = 512, 16_384
EPOCHS = 100


def features() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, K, (TRAIN + TEST,), generator=generator)
    x = torch.randn(TRAIN + TEST, D, generator=generator)
    return x.add_(0.1 * torch.randn(K, D, generator=generator)[y]), y


def probe(rates: Sequence[float]) -> Callable[[], object]:
    x, y = features()
    settings = {"num_classes": K, "epochs": 1, "batch_size": BATCH, "weight_decay": 0.0, "optimizer": "adam", "seed": 0}
    return torch.no_grad()(
        partial(train_heads, x[:TRAIN], y[:TRAIN], torch.arange(TRAIN), rates, epoch_done=lambda: None, **settings)
    )


def plain_probe(rates: Sequence[float]) -> Callable[[], None]:
    x, y = features()

    def train() -> None:
        for rate in rates:
            layer = torch.nn.Linear(D, K)
            optimizer = torch.optim.Adam(layer.parameters(), lr=rate)
            for rows in torch.randperm(TRAIN).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(layer(x[rows]), y[rows]).backward()
                optimizer.step()

    return train


def converged() -> Callable[[], LinearResult]:
    x, y = features()
    return partial(linear_probe, x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:], num_classes=K)


def scikit_learns() -> Callable[[], object]:
    x, y = features()
    x = scale_of(x[:TRAIN]).standardise(x[:TRAIN]).numpy()
    regression = LogisticRegression(C=1 / (converged()().l2 * TRAIN), tol=1e-6, max_iter=10_000)
    return partial(regression.fit, x, y[:TRAIN].numpy())


def knn(block: int = 2**26) -> Callable[[], float]:
    x, y = features()
    return lambda: knn_accuracy(x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:], num_classes=K, block=block)


def codes(*, plain: bool) -> Callable[[], Tensor]:
    torch.manual_seed(0)
    kwargs = {"proj_hidden_dim": F_CODES, "proj_output_dim": CODES}
    method, x = build_method("cplearn", D, batch_size=64, method_kwargs=kwargs).eval(), torch.randn(TEST, D)
    assign = (lambda: method(x).argmax(dim=1)) if plain else lambda: method.assign(x)
    return torch.no_grad()(assign)


# name -> (ours, plain, operations of the products, factor of the shown time)
WORK = {
    "converged linear probe": (converged, scikit_learns, 4 * TRAIN * D * K, 1),
    "the paper's, 100 epochs": (partial(probe, [1e-2]), partial(plain_probe, [1e-2]), 4 * TRAIN * D * K, EPOCHS),
    "the same, five rates": (partial(probe, RATES), partial(plain_probe, RATES), 5 * 4 * TRAIN * D * K, EPOCHS),
    "20 nearest neighbours": (knn, partial(knn, TRAIN * TEST), 2 * TRAIN * TEST * D, 1),
    "codes out of 16,384": (
        partial(codes, plain=False),
        partial(codes, plain=True),
        2 * TEST * F_CODES * (D + CODES),
        1,
    ),
}


def main() -> None:
    megabytes = {(what, which): own_process(__file__, what, which)[0] for what in WORK for which in (0, 1)}
    speed = flops_a_second()
    print(f"products at {speed / 1e9:.0f} GFLOP/s on {torch.get_num_threads()} threads")
    print(f"{'':26}{'ours':>9}{'plain':>9}{'ratio':>8}{'of floor':>10}{'memory':>10}{'plain':>10}{'ratio':>8}")
    for what, (ours, plain, operations, times) in WORK.items():
        mine, theirs = turn_by_turn({"ours": timed(ours()), "plain": timed(plain())}).values()
        less, more = (megabytes[what, which] for which in (0, 1))
        line = f"{what:26}{times * mine:7.2f} s{times * theirs:7.2f} s{mine / theirs:7.2f}x"
        line += f"{operations / speed / mine:10.0%}{less:7.0f} MB{more:7.0f} MB{less / more:7.2f}x"
        print(line, flush=True)


if __name__ == "__main__":
    run(main, lambda what, which: WORK[what][int(which)]()())
