"""open3d on a machine without the system's libusb."""

import subprocess
import sys

import pytest

from pointsam.base.errors import BackendError
from pointsam.base.open3d_loader import load_open3d

NEEDS_LIBUSB = """
import ctypes
if not hasattr(ctypes.CDLL(None), "libusb_init"):
    raise ImportError("libusb-1.0.so.0: cannot open shared object file: No such file or directory")
"""


def test_the_wheels_libusb_is_loaded_where_the_system_has_none(tmp_path):
    pytest.importorskip("libusb_package", reason="needs pointsam[synth]")
    (tmp_path / "open3d.py").write_text(NEEDS_LIBUSB)
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
from pointsam.base.open3d_loader import load_open3d
print(load_open3d().__file__, "libusb_package" in open("/proc/self/maps").read())
"""
    # In a process of its own: this one may have a libusb already.
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == [str(tmp_path / "open3d.py"), "True"], ran.stderr


@pytest.mark.parametrize(("missing", "hint"), [("open3d", "pointsam[synth]"), ("libusb_package", "libusb-1.0-0")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, missing, hint):
    (tmp_path / "open3d.py").write_text('raise ImportError("libusb-1.0.so.0: cannot open shared object file")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(BackendError, match=missing) as caught:
        load_open3d.__wrapped__()
    assert caught.value.code == "BCK005"
    assert hint in caught.value.hint
