"""Images are stored upright: nothing turns them by their EXIF orientation."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base.images import DAMAGED, PHOTO_FORMATS, open_image
from pointsam.checks.base import Probe, Problem, Rule
from pointsam.types import ImageSource

_TAG = 0x0112
_TURNS = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored and turned by 180 degrees",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees clockwise",
    7: "mirrored and turned by 90 degrees",
    8: "turned by 90 degrees counterclockwise",
}


def orientation_of(source: ImageSource) -> str:
    """What the EXIF data of an image say of its orientation, in words; "" if it is upright or nothing is said."""
    try:
        with source.open() as stream, open_image(stream, PHOTO_FORMATS) as image:
            turn = _TURNS.get(image.getexif().get(_TAG, 1))
    except DAMAGED:  # other rules name it
        return ""
    return "" if turn is None else f"its EXIF orientation says that viewers should show it {turn}"


def _check(probe: Probe) -> Iterator[Problem]:
    for view in probe.frame.cameras:
        what = orientation_of(view.source)
        if what:
            yield Problem(view.name, what)


RULE = Rule(
    id="image-orientation",
    severity="error",
    title="Images are stored upright, without an EXIF orientation.",
    remedy="Images are read as they are stored, while OpenCV and viewers turn them. Store them upright (jpegtran, "
    "ImageMagick's -auto-orient), with the size and camera matrix of the upright image; or accept the rule if the "
    "calibration is that of the stored pixels and they are upright.",
    of_frame=_check,
)
