"""An epoch is a permutation that ranks share, whatever their number."""

from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.data.order import EpochSampler


@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 40), st.integers(0, 9), st.integers(0, 9)
)
def test_ranks_share_the_epoch_of_one_device(batch_size, world, steps, more, seed, epoch):
    """With as many images in a step of all ranks, any number of ranks takes the same steps."""
    size = steps * world * batch_size + more

    def epoch_of(rank, world, batch_size):
        sampler = EpochSampler(size, seed=seed, rank=rank, world=world, batch_size=batch_size)
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) and [batch.step for batch in batches] == list(range(len(sampler)))
        assert {(batch.epoch, batch.rank, len(batch.indices)) for batch in batches} == {(epoch, rank, batch_size)}
        return [batch.indices for batch in batches]

    ranks = [epoch_of(rank, world, batch_size) for rank in range(world)]
    together = [sum(of_ranks, []) for of_ranks in zip(*ranks, strict=True)]
    alone = epoch_of(0, 1, world * batch_size)
    assert list(map(sorted, together)) == list(map(sorted, alone))
    seen = sum(alone, [])
    assert len(set(seen)) == len(seen) > size - world * batch_size and set(seen) <= set(range(size))
