"""A description of the machine, for result pages."""

from __future__ import annotations

import os
import platform


def hardware() -> str:
    """Processor, number of cores and Python version."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
