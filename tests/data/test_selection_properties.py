"""Which images are held out: a function of their names, and of each class the same share."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.data import FileSet
from cplearn_solo.data.index import Files, Names
from cplearn_solo.data.selection import hold_out, imbalanced, stratified

SEEDS = st.integers(0, 2**32 - 1)
SOME = [f"cat/{i}.png".encode() for i in range(60)]  # so many that neither part is ever empty


def parts(names, labels, share, seed, root="/images"):
    """The names of the images that remain, and of those that are held out."""
    images = FileSet(Files(root, Names.of(names), np.zeros(len(names), int)), torch.tensor(labels), 3)
    return ({part.sources.key(i) for i in range(len(part))} for part in hold_out(images, share, seed))


@given(st.dictionaries(st.binary(max_size=6), st.integers(-1, 2), max_size=20), st.floats(0.3, 0.6), SEEDS, st.data())
def test_an_image_is_held_out_by_its_name_whatever_else_there_is(others, share, seed, data):
    labels = dict.fromkeys(SOME, 0) | others
    rest, held = parts(list(labels), list(labels.values()), share, seed)
    assert not rest & held and rest | held == labels.keys()
    assert all(labels[name] >= 0 for name in held)
    names = data.draw(st.permutations(SOME), "other order")
    rest_of_some, held_of_some = parts(names, [1] * len(names), share, seed, root="/elsewhere")
    assert held_of_some == held & set(SOME) and rest_of_some == rest & set(SOME)
    assert held <= set(list(parts(list(labels), list(labels.values()), share + 0.2, seed))[1])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0, 1), SEEDS)
def test_every_class_has_the_same_share(labels, share, seed):
    labels = torch.tensor(labels)
    taken, left = stratified(labels, share, seed)
    assert torch.equal(torch.cat([taken, left]).sort().values, torch.arange(len(labels)))
    wanted = share * labels.bincount(minlength=5).double()
    assert (labels[taken].bincount(minlength=5) - wanted).abs().max() <= 1
    assert abs(len(taken) - share * len(labels)) <= 0.5 + 1e-9


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=60).filter(lambda y: max(y) >= 0), st.floats(1, 1e4), SEEDS)
def test_imbalanced_classes_have_images_and_fall(labels, ratio, seed):
    labels = torch.tensor(labels)
    kept = imbalanced(
        FileSet(Files("/", Names.of([b""] * len(labels)), np.zeros(len(labels), int)), labels, 5), ratio, seed
    )
    here, there = kept.labels.bincount(minlength=5), labels[labels >= 0].bincount(minlength=5)
    assert kept.labels.min() >= 0 and (here <= there).all() and torch.equal(here > 0, there > 0)
    sizes = here[here > 0]
    assert (sizes.diff() <= 0).all()
    assert sizes[0] <= ratio * sizes[-1] + ratio / 2 + 0.5
