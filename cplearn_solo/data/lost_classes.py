"""Classes whose images are all held out."""

from __future__ import annotations

from cplearn_solo.data.image_set import ImageSet
from cplearn_solo.data.notes import say_once

NAMED = 3  # classes in a message


def tell_lost_classes(train: ImageSet, scored: ImageSet) -> None:
    """Prints once which scored classes have no training image, for example because all of theirs were held out."""
    labels = [images.labels[images.labels >= 0].unique().tolist() for images in (train, scored)]
    lost = sorted(set(labels[1]) - set(labels[0]))
    if not labels[0] or not lost:
        return
    names = ", ".join(train.classes[label] if train.classes else str(label) for label in lost[:NAMED])
    more = ", ..." if len(lost) > NAMED else ""
    say_once(f"scored classes without a training image, which data.val_split or another choice took: {names}{more}")
