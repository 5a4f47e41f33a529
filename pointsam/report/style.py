"""Colours and fonts of all pictures, so that an object looks the same in each."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from PIL import ImageFont

RGB = tuple[int, int, int]

INK: RGB = (232, 232, 236)
FAINT: RGB = (150, 150, 158)
GROUND: RGB = (18, 19, 23)
UNLABELLED: RGB = (128, 130, 138)

_GOLDEN_RATIO = 0.6180339887498949
_MIN_LUMINANCE = 0.45
_CLASS_COLOURS: tuple[RGB, ...] = (
    (255, 176, 0), (255, 92, 40), (190, 130, 70), (255, 95, 170), (150, 110, 255), (60, 210, 235),
    (235, 60, 90), (70, 130, 255), (240, 235, 70), (60, 205, 110), (200, 200, 205), (120, 160, 40),
)  # fmt: skip

ORIGIN_RGB: Mapping[str, RGB] = MappingProxyType(
    {"kept": (89, 153, 242), "extended": (140, 240, 80), "recovered": (240, 80, 230)}
)
"""Points of the single-frame labels, and those that tracking added to a cluster or to a frame; as in web/viewer.js."""


@cache
def cluster_rgb(cluster_id: int) -> RGB:
    """A bright colour for a cluster; consecutive ids differ by 138 degrees of hue."""
    hue = (0.08 + cluster_id * _GOLDEN_RATIO) % 1.0
    saturation = (0.95, 0.62, 0.80)[cluster_id % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, 1.0)
    luminance = 0.30 * red + 0.59 * green + 0.11 * blue
    # Pure blue and violet are too dark on a dark background: white is added up to a common luminance.
    white = max(0.0, (_MIN_LUMINANCE - luminance) / (1.0 - luminance))
    return _byte(red, white), _byte(green, white), _byte(blue, white)


def _byte(channel: float, white: float) -> int:
    return round(255 * (channel + (1.0 - channel) * white))


def class_rgb(class_id: int) -> RGB:
    """The colour of a class; colours repeat after twelve."""
    return _CLASS_COLOURS[class_id % len(_CLASS_COLOURS)]


@cache
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The scalable font of Pillow, so that no font of the system is needed."""
    return ImageFont.load_default(size_px)
