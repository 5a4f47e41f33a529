"""Loads open3d, with the system library that its wheels need."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from pointsam.base.errors import BackendError


@cache
def load_open3d() -> ModuleType:
    """The package `open3d`.

    Its wheels need the system's libusb-1.0, which many machines lack; the wheel `libusb-package` contains one. A plain
    `import open3d` fails on such a machine, so all code that needs open3d, tests included, calls this function.

    Raises:
        BackendError: BCK005 if the package is not installed or its system library is not found.
    """
    hint = "pip install 'pointsam[synth]'"
    try:
        try:
            import open3d as package
        except ImportError as error:
            if "libusb" not in str(error):
                raise
            hint = "pip install libusb-package, or install the system package libusb-1.0-0"
            import ctypes

            import libusb_package

            ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
            import open3d as package
    except (ImportError, OSError) as error:
        raise BackendError("BCK005", f"open3d cannot be loaded ({error})", hint) from error
    return package
