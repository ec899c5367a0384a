import torch

from cplearn_solo.data.image_set import MemorySet
from cplearn_solo.data.lost_classes import tell_lost_classes
from cplearn_solo.data.notes import say_once


def labelled(*labels):
    return MemorySet(
        torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8), torch.tensor(labels), 3, classes=tuple("abc")
    )


def test_a_class_whose_only_image_is_held_out_is_named(capsys):
    say_once.cache_clear()
    tell_lost_classes(labelled(0, 0, 1), labelled(1, -1))
    tell_lost_classes(labelled(-1, -1), labelled(1, 2))  # nothing was to be learned from labels
    assert capsys.readouterr().out == ""
    tell_lost_classes(labelled(0, 0, -1), labelled(1, 2, 0))
    words = "scored classes without a training image, which data.val_split or another choice took: b, c\n"
    assert capsys.readouterr().out == words
