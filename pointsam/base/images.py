"""Image files as Pillow reads them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow's decoders raise on damaged files."""

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""Formats of camera images."""

MASK_FORMATS = ("PNG",)
"""Formats of label and instance maps."""


def open_image(source: Path | BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    """Open an image file whose content, whatever its name says, has one of some formats.

    Without this list, Pillow would try every decoder it has. Its PostScript decoder starts the program `gs` on the
    content of the file.

    Args:
        source: file to open, or an open stream, which the caller closes.
        formats: names of Pillow's, such as PHOTO_FORMATS.

    Returns:
        The image; only the header is decoded.

    Raises:
        OSError: if the file cannot be read, or has another format: the message lists the formats, the caller adds the
            file's name. Other exceptions of DAMAGED on a damaged header.
    """
    try:
        return Image.open(source, formats=formats)
    except UnidentifiedImageError as error:
        *others, last = formats
        known = f"{', '.join(others)} or {last}" if others else last
        raise UnidentifiedImageError(f"its content is not {known}") from error
