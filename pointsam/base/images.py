"""Image files, opened with Pillow."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, RuntimeError, ArithmeticError, LookupError),
    *(zlib.error, zipfile.BadZipFile, Image.DecompressionBombError),
)
"""Exceptions of Pillow's decoders on damaged files."""

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""Formats of camera images."""

MOST_PIXELS = 100_000_000
"""A small file may state an image that fills the memory when it is decoded."""

MASK_FORMATS = ("PNG",)
"""Formats of label and instance maps."""


def open_image(source: Path | BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    """Open an image file whose content has one of the given formats, whatever its suffix.

    Without the list, Pillow would try all its decoders; the PostScript decoder runs the program `gs` on the content.

    Args:
        source: a file, or an open stream, which the caller closes.
        formats: Pillow's names of formats, such as PHOTO_FORMATS.

    Returns:
        The image; only the header is decoded.

    Raises:
        OSError: if the file cannot be read, has another format (the message lists the formats but not the file) or
            states more than MOST_PIXELS. Other exceptions of DAMAGED on a damaged header.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS is checked below
            image = Image.open(source, formats=formats)
        if image.width * image.height > MOST_PIXELS:
            image.close()
            raise OSError(f"it states {image.width} x {image.height} px, more than {MOST_PIXELS // 10**6} megapixels")
        return image
    except UnidentifiedImageError as error:
        *others, last = formats
        known = f"{', '.join(others)} or {last}" if others else last
        raise UnidentifiedImageError(f"its content is not {known}") from error
