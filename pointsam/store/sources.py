"""Digests of the sensor data that labels were made of, to notice files that change afterwards.

A digest covers the size of a file and its first and last 4 KiB. It therefore costs one small read of a large file. It
does not notice a change of the same size in the middle of a file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import BinaryIO, Protocol, TypeAlias, runtime_checkable

import numpy as np

from pointsam.base.errors import ChangedSourceError, PointSamError
from pointsam.base.remote import READ_ERRORS
from pointsam.types import Frame, ImageMasks, ImageSource, PointSource

END_BYTES = 4096
"""Bytes at each end of a file that its digest covers."""

MASKS = "masks"
"""The name under which the digest of a frame's masks is stored."""

CLUSTERS = "clusters"
"""The name under which looks and tracks store the digest of the clusters that they start from."""

LOOKS = "looks"
"""The name under which tracks store the digest of the second looks of their scene, if they start from these."""

ODOMETRY = "odometry"
"""The name under which looks and tracks store the version of the library that gave a scene its poses, "none" if it was
followed as if the vehicle stood still. Scenes with poses of their own do not have it."""

UNREAD = "unread "
"""Prefix of sources that a stage did not read: labels do not depend on them, but a later stage reads them."""

Source: TypeAlias = "ImageSource | PointSource"


@runtime_checkable
class OpenSource(Protocol):
    """A source that can be opened as a stream of bytes. Every `ImageSource` is one; a `PointSource` may be one."""

    def open(self) -> BinaryIO:
        """A seekable stream, which the caller closes."""


def source_digest(source: Source) -> str:
    """`SIZE-HEX` of the data of a source. A source that cannot be opened as a stream is read, all columns of it.

    Raises:
        OSError: if it cannot be read; see READ_ERRORS.
    """
    if isinstance(source, OpenSource):
        with source.open() as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            content = stream.read(END_BYTES)
            stream.seek(max(size - END_BYTES, len(content)))
            content += stream.read(END_BYTES)
    else:
        values = np.ascontiguousarray(source.read(source.columns))
        size, content = values.nbytes, values.tobytes()
    return f"{size}-{hashlib.sha256(content).hexdigest()[:16]}"


def masks_digest(row: ImageMasks) -> str:
    """Hex digest of the masks and detections of an image."""
    masks, found = row.masks, row.detections
    parts: list[object] = [row.camera, row.status, row.error, masks.height_px, masks.width_px, masks.rle, found.rle]
    arrays = (masks.pred_iou, masks.stability, masks.source, found.box_xyxy_px, found.class_id, found.score)
    parts += [np.asarray(array).tolist() for array in (*arrays, row.prompts_uv_px)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def sources_of(frame: Frame) -> dict[str, Source]:
    """The sources of a frame by name: "sweep 0", "neighbour -1", "image CAM_FRONT"."""
    found: dict[str, Source] = {f"sweep {k}": sweep.source for k, sweep in enumerate(frame.sweeps)}
    found |= {f"neighbour {offset:+d}": sweep.source for offset, sweep in frame.neighbours.items()}
    return found | {f"image {view.name}": view.source for view in frame.cameras}


def digests_of(
    frame: Frame, wanted: Callable[[str], bool], further: Mapping[str, Source] = MappingProxyType({})
) -> dict[str, str]:
    """Digests of the sources of a frame by name; those that cannot be read are left out, because reading reports them.

    Args:
        frame: the frame.
        wanted: which names.
        further: sources by name besides those of the frame.
    """
    found = {}
    for name, source in {**sources_of(frame), **further}.items():
        if wanted(name):
            with suppress(PointSamError, *READ_ERRORS):
                found[name] = source_digest(source)
    return found


def of_sweeps(name: str) -> bool:
    """Whether a name of `sources_of` is that of a sweep whose points are labelled."""
    return name.startswith("sweep ")


def merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Digests of a frame from those of its images.

    Digests of masks, named "masks CAMERA", become one. A source that one image did not read, and another did, was read.
    """
    found, masks = dict[str, str](), list[str]()
    for part in parts:
        for name, digest in part.items():
            if name.startswith(f"{MASKS} "):
                masks.append(f"{name} {digest}")
            else:
                found[name] = digest
    if masks:
        found[MASKS] = hashlib.sha256("\n".join(masks).encode()).hexdigest()[:16]
    return {
        name: digest
        for name, digest in found.items()
        if not name.startswith(UNREAD) or name.removeprefix(UNREAD) not in found
    }


def require_unchanged(
    made: Mapping[str, str],
    frame: Frame,
    labels: str,
    wanted: Callable[[str], bool] = lambda _: True,
    further: Mapping[str, Source] = MappingProxyType({}),
) -> None:
    """Compare the sources of a frame with those that its labels were made of.

    A source that cannot be read now is not compared.

    Args:
        made: digests by name, as a run stored them; empty for runs of 0.1.0, which stored none.
        frame: the frame now.
        labels: "masks" or "clusters", for the message.
        wanted: which names to compare; names of unread sources have the prefix UNREAD.
        further: sources by name besides those of the frame.

    Raises:
        ChangedSourceError: DAT013 naming the file.
    """
    there = {**sources_of(frame), **further}
    for name, digest in made.items():
        source = there.get(name.removeprefix(UNREAD))
        if source is None or not wanted(name):
            continue
        now = digest
        with suppress(PointSamError, *READ_ERRORS):
            now = source_digest(source)
        if now != digest:
            raise ChangedSourceError(
                "DAT013",
                f"{source.name} has changed since frame {frame.frame_id} was labelled: its {labels} were made from "
                f"{_size(digest)}, now the source has {_size(now)}",
                "restore the file, or label the frame again: the command of the run with --retry-failed",
            )


def require_same_masks(made: Mapping[str, str], masks: Mapping[str, str], frame_id: str) -> None:
    """Compare the masks of a frame with those that its clusters were made from.

    Args:
        made: digests that the clusters' run stored; nothing is compared if they lack that of the masks.
        masks: digests of the frame in the run of the masks.
        frame_id: the frame.

    Raises:
        ChangedSourceError: DAT013.
    """
    if made.get(MASKS, masks.get(MASKS)) != masks.get(MASKS):
        raise ChangedSourceError(
            "DAT013",
            f"the masks of frame {frame_id} were made again since its clusters were made from them",
            "make its clusters again: the command of the clusters with --retry-failed",
        )


def _size(digest: str) -> str:
    size, _, content = digest.partition("-")
    return f"{size} bytes of digest {content[:8]}"
