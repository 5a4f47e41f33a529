"""What a page says of a machine."""

from __future__ import annotations

import os
import platform


def hardware() -> str:
    """Processor, cores, and Python."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
