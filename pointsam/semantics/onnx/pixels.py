"""An image as the input of a network, and boxes back from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.semantics.onnx.description import InputForm


@dataclass(frozen=True, eq=False)
class Pixels:
    """An input of a network, and its place in the image.

    Args:
        values: (1,3,H,W) or (1,H,W,3) float32.
        size_px: width and height of the input, with padding.
        extent_px: width and height of the whole input in pixels of the image.
        offset_px: left and top padding in pixels of the input.
        scaled_px: width and height of the image within the input.
    """

    values: NDArray[np.float32]
    size_px: tuple[int, int]
    extent_px: tuple[float, float]
    offset_px: tuple[int, int]
    scaled_px: tuple[int, int]

    def to_image(self, box_xyxy: NDArray[np.float32], fractions: bool) -> NDArray[np.float32]:
        """(N,4) boxes in pixels of the image.

        Args:
            box_xyxy: (N,4) boxes in pixels of the input, or in fractions of it.
            fractions: whether they are fractions.
        """
        size, extent, offset = (np.array([*pair, *pair]) for pair in (self.size_px, self.extent_px, self.offset_px))
        scale = extent if fractions else extent / size
        shift = offset / size if fractions else offset
        box: NDArray[np.float32] = (box_xyxy - shift.astype(np.float32)) * scale.astype(np.float32)
        return box

    def mask(self) -> NDArray[np.int64]:
        """(1,H,W) 1 where the input shows the image, 0 where it is padded."""
        (width, height), (left, top) = self.scaled_px, self.offset_px
        mask = np.zeros((1, *self.size_px[::-1]), dtype=np.int64)
        mask[0, top : top + height, left : left + width] = 1
        return mask


def pixels_of(image: Image.Image, form: InputForm, size_px: tuple[int, int]) -> Pixels:
    """An RGB image as the input of a network.

    Args:
        image: the image.
        form: how it becomes the input.
        size_px: width and height of the input; for `fit="multiple"`, the first is the longer side.
    """
    (width, height), offset = size_px, (0, 0)
    if form.fit == "multiple":
        step, longer = form.multiple_px, max(image.size)
        width, height = (max(round(side * size_px[0] / longer / step), 1) * step for side in image.size)
    if form.fit in ("stretch", "multiple"):
        scaled, extent = (width, height), (float(image.width), float(image.height))
        whole = image.resize(scaled, Image.Resampling.BILINEAR)
    else:
        scale = min(width / image.width, height / image.height)
        scaled = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        extent = (width / scale, height / scale)
        offset = ((width - scaled[0]) // 2, (height - scaled[1]) // 2) if form.fit == "centre" else offset
        whole = Image.new("RGB", (width, height), (form.fill,) * 3)
        whole.paste(image.resize(scaled, Image.Resampling.BILINEAR), offset)
    values = np.asarray(whole, dtype=np.float32)
    values = values[..., ::-1] if form.channels == "bgr" else values
    mean, std = (np.array(three, dtype=np.float32) for three in (form.mean, form.std))
    values = (values / np.float32(form.divide) - mean) / std
    values = values.transpose(2, 0, 1) if form.layout == "nchw" else values
    return Pixels(np.ascontiguousarray(values[None]), (width, height), extent, offset, scaled)
