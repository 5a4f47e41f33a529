"""Image files as Pillow reads them."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow's decoders raise on damaged files."""
