"""What watching for collapse costs: python benchmarks/collapse_watch.py

Trains the shipped CPLearn configuration on digits. In one run, the check at the end of each epoch is timed, and so are
the epoch's steps. Medians over epochs.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import tempfile
import time
from unittest import mock

from history import record
from shared import short_run

from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.train import pretrain
from cplearn_solo.engine.watch import CollapseWatch

EPOCHS = 12


def main() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    looks: list[float] = []
    look = CollapseWatch.on_train_epoch_end

    def timed(*args) -> None:
        start = time.perf_counter()
        look(*args)
        looks.append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        config = short_run(folder, epochs=EPOCHS)
        with mock.patch.object(CollapseWatch, "on_train_epoch_end", timed), contextlib.redirect_stdout(io.StringIO()):
            trained = pretrain(config)
        trained.run.close()
        rows = EpochLog.read(trained.run.path)
    steps = [row["train_seconds"] - seconds for row, seconds in zip(rows, looks)]  # an epoch's time includes its check
    share = [seconds / step for seconds, step in zip(looks, steps)][1:]  # the first epoch warms up
    print(f"steps of an epoch  {1000 * statistics.median(steps[1:]):7.1f} ms")
    print(f"look at collapse   {1000 * statistics.median(looks[1:]):7.1f} ms   {statistics.median(share):.3f}x")
    record(__file__, {"look": statistics.median(share)})


if __name__ == "__main__":
    main()
