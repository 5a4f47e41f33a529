"""The frames of an epoch: class-balanced resampling (CBGS, arXiv 1908.09492; docs/method.md B.2).

F frames, C classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def published_samples(boxed: NDArray[np.bool_]) -> int:
    """Number of samples of an epoch of the published resampling, before it is repeated.

    Every class is drawn equally often, in total as often as there are pairs of a frame and a class with a box in it.

    Args:
        boxed: (F,C) whether each frame has a box of each class; every class has one.
    """
    classes = boxed.shape[1]
    return int(boxed.sum()) // max(classes, 1) * classes


def drawn_samples(present: NDArray[np.bool_], repeat: int) -> int:
    """Number of samples of an epoch that draws each class `repeat` times as often as there are pairs, on average.

    Args:
        present: (F,C) whether each frame counts for each class.
        repeat: factor; it is applied before rounding.
    """
    classes = max(int(present.any(axis=0).sum()), 1)
    return int(present.sum() * repeat / classes) * classes


def balanced(present: NDArray[np.bool_], samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(samples,) indices of frames in a random order: each class draws equally often among the frames that have it.

    Args:
        present: (F,C) whether each frame counts for each class.
        samples: number of draws, with replacement.
        rng: random generator.
    """
    classes = np.flatnonzero(present.any(axis=0))
    count = max(len(classes), 1)
    each = samples // count + (np.arange(count) < samples % count)
    drawn = [rng.choice(np.flatnonzero(present[:, k]), n) for k, n in zip(classes, each, strict=False)]
    return rng.permutation(np.concatenate([np.zeros(0, dtype=np.int64), *drawn]))


def turns(frames: int, samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(samples,) indices of frames in a random order: all frames in turn, again and again."""
    rounds = [rng.permutation(frames) for _ in range(-(-samples // max(frames, 1)))]
    order: NDArray[np.int64] = np.concatenate([np.zeros(0, dtype=np.int64), *rounds])
    return order[:samples]
