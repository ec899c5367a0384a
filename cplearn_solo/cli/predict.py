"""``cplearn predict``: the classes of images in a file."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from cplearn_solo.cli.over_images import image_parser, over_images, tell_unreadable
from cplearn_solo.core.numbers import counted
from cplearn_solo.inference.targets import PREDICTIONS, new_file

if TYPE_CHECKING:
    from cplearn_solo.inference.pretrained import Pretrained

PREDICT = """Writes the class of each image and the probabilities of all classes to a file. It uses the linear
classifier that a run with labels trains along with the backbone; online_acc1 in the run's summary is its accuracy.

  cplearn predict RUN IMAGES out.csv         columns file, class, probability, p_CLASS of each class
  cplearn predict RUN IMAGES out.parquet     the same"""


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    return image_parser("predict", PREDICT, out="a new .csv (also without an ending) or .parquet")


def predict_task(options: argparse.Namespace) -> None:
    """Predicts with a progress bar and says what is in the file."""
    new_file("OUT", options.out, PREDICTIONS, ".csv")

    def writer_of(model: Pretrained) -> Any:
        from cplearn_solo.inference.predict import class_names, predict

        class_names(model)
        return partial(predict, model)

    model, found = over_images(options, writer_of)
    known = "" if model.classes else ", known by their numbers"
    print(f"{found.file}: {counted(found.rows, 'image')}, {model.num_classes} classes{known}")
    tell_unreadable(found)
