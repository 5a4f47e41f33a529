"""Images of a frame in step: what they ask of the segmenter at the same time, it answers together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from pipelines.tasks import Attempt
from pointsam.masks.base import BatchSegmenter
from pointsam.masks.requests import Request, answers

Row = TypeVar("Row")
Steps: TypeAlias = Generator[Request, Any, Row]


@dataclass(frozen=True)
class _Done(Generic[Row]):
    row: Row


def together(images: Sequence[tuple[Attempt, Callable[[], Steps[Row]]]], segmenter: BatchSegmenter) -> list[Row | None]:
    """The rows of images; None for those that are quarantined, with the error in their attempt.

    Args:
        images: the attempt of each image, and a function that begins its steps.
        segmenter: answers what the steps ask.

    Raises:
        PointSamError: as `Attempt.do`.
    """
    steps = [begin() for _, begin in images]
    state: list[Request | _Done[Row] | None] = [
        attempt.do(partial(_advance, partial(next, one))) for (attempt, _), one in zip(images, steps, strict=True)
    ]
    while asked := {k: at for k, at in enumerate(state) if at is not None and not isinstance(at, _Done)}:
        try:
            found = answers(segmenter, [(request, images[k][0].stopwatch) for k, request in asked.items()])
            goes_on = [partial(steps[k].send, answer) for k, answer in zip(asked, found, strict=True)]
        except Exception as error:  # the images were answered together, so all of them fail
            goes_on = [partial(steps[k].throw, error) for k in asked]
        for k, resume in zip(asked, goes_on, strict=True):
            state[k] = images[k][0].do(partial(_advance, resume))
    return [at.row if isinstance(at, _Done) else None for at in state]


def _advance(resume: Callable[[], Request]) -> Request | _Done[Row]:
    """Resume the steps of an image, until they ask for something or return."""
    try:
        return resume()
    except StopIteration as end:
        return _Done(end.value)
    except RuntimeError as raised:  # PEP 479: so arrives a StopIteration that is raised in a generator
        if isinstance(raised.__cause__, StopIteration):
            raise raised.__cause__ from None
        raise
