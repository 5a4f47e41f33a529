"""Tables with equally many rows for each sample of a batch, so that all samples are computed at once.

S samples, N rows of all samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.detect.suppression import rank_in_group


@dataclass(frozen=True, eq=False)
class Padding:
    """The places of N rows in a table.

    Args:
        place: (N,) int64 index of each row among the S * most rows of the table.
        samples: S.
        most: number of rows of each sample in the table, 1 at least.
    """

    place: Tensor
    samples: int
    most: int

    @staticmethod
    def of_counts(counts: Sequence[int], device: torch.device) -> Padding:
        """Rows of S samples, one sample after another, of which there are these numbers; the host does not wait."""
        most = max(1, *counts)
        places = [torch.arange(most * k, most * k + count, device=device) for k, count in enumerate(counts)]
        return Padding(torch.cat(places), len(counts), most)

    @staticmethod
    def of_samples(sample: Tensor, samples: int, most: int) -> Padding:
        """Rows of these samples, (N,), at most so many of each; the host does not wait."""
        most = max(1, most)
        return Padding(sample * most + rank_in_group(sample), samples, most)

    def table(self, values: Tensor, fill: float = 0) -> Tensor:
        """(S,most,...) table of (N,...) values, in their order, and `fill` after the last one of each sample."""
        rest = values.shape[1:]
        table = values.new_full((self.samples * self.most, *rest), fill)
        return table.index_copy(0, self.place, values).view(self.samples, self.most, *rest)

    def rows(self, table: Tensor) -> Tensor:
        """(N,...) values in an (S,most,...) table."""
        return table.flatten(0, 1)[self.place]
