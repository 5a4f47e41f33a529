"""How many frames an epoch draws, and how often each class."""

import numpy as np
import pytest

from pointsam.detect.data.resample import balanced, drawn_samples, published_samples, turns


def published(boxed, repeat):
    """balanced_infos_resampling of OpenPCDet and MixSup, written from its description: the length of its list.

    Each class has a share of the pairs of a frame and a class; it is drawn from its own frames until all shares are
    equal. The list is then repeated.
    """
    pairs = [int(boxed[:, k].sum()) for k in range(boxed.shape[1])]
    share = [count / sum(pairs) for count in pairs]
    drawn = [int(count * (1 / len(pairs)) / of_all + 1e-9) for count, of_all in zip(pairs, share, strict=True)]
    return sum(drawn) * repeat


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_an_epoch_is_as_long_as_published(seed, repeat, rng_of):
    boxed = rng_of(seed).random((200, 7)) < np.linspace(0.02, 0.9, 7)
    boxed[0] = True
    assert published_samples(boxed) * repeat == published(boxed, repeat)


def test_it_is_as_long_as_the_pairs_up_to_the_number_of_classes(rng_of):
    boxed = rng_of(1).random((57, 4)) < 0.4
    assert boxed.sum() - 4 < published_samples(boxed) <= boxed.sum()
    assert drawn_samples(boxed, 3) == boxed.sum() * 3 // 4 * 4


def test_each_class_is_drawn_equally_often_among_its_own_frames(rng_of):
    present = np.zeros((20, 3), dtype=bool)
    present[:2, 0], present[2:9, 1], present[9:, 2] = True, True, True
    order = balanced(present, 3_001, rng_of(0))
    assert len(order) == 3_001
    assert [np.isin(order, np.flatnonzero(present[:, k])).sum() for k in range(3)] == [1001, 1000, 1000]
    assert len(balanced(np.zeros((5, 0), dtype=bool), 10, rng_of(0))) == 0


@pytest.mark.parametrize(("frames", "samples"), [(5, 5), (5, 12), (5, 3), (1, 4), (0, 0)])
def test_turns_take_every_frame_equally_often(frames, samples, rng_of):
    order = turns(frames, samples, rng_of(0))
    counts = np.bincount(order, minlength=frames)
    assert len(order) == samples
    assert np.ptp(counts) <= 1 if frames else True
