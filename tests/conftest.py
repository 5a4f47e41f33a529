"""Real samples for tests: a folder named by POINTSAM_SHARED, else `shared` beside the checkout."""

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

SHARED = Path(os.environ.get("POINTSAM_SHARED", Path(__file__).resolve().parents[2] / "shared"))

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Indices and weights of tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTSAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def torch_seed():
    """Random numbers of a test, weights of networks among them, do not depend on other tests."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture
def rng_of():
    """Random numbers by seed."""
    return np.random.default_rng


@pytest.fixture
def device():
    """A simulated CUDA device, which counts what it does."""
    torch = pytest.importorskip("torch", reason="needs torch")
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here; the simulated one would take its place")
    if not hasattr(torch._C, "_acc"):
        pytest.skip("needs a newer torch: this one takes no backend that is written in Python")
    from helpers.simulated_device import simulated_device

    with simulated_device() as device:
        yield device


@pytest.fixture
def free_port():
    """A free port of this machine, for processes that talk to each other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def open3d():
    """The package open3d, for tests that cast rays or read point clouds."""
    if find_spec("open3d") is None:
        pytest.skip("needs open3d: pip install 'pointsam[synth]'")
    from pointsam.base.open3d_loader import load_open3d

    return load_open3d()


def _need(path):
    if not path.exists():
        pytest.skip(f"real sample {path.name} is not here: its licence forbids shipping it (set POINTSAM_SHARED)")
    return path


@pytest.fixture(scope="session")
def nuscenes_root():
    return _need(SHARED / "data" / "nuscenes")


@pytest.fixture(scope="session")
def kitti_root():
    return _need(SHARED / "data" / "kitti_object")


@pytest.fixture(scope="session")
def kitti_tracking_root():
    return _need(SHARED / "data" / "kitti_tracking")


@pytest.fixture
def tiny_kitti(tmp_path):
    """Two training frames and one testing frame; `add` writes more, `path` names a file of one."""
    from helpers.kitti_root import make_kitti

    return make_kitti(tmp_path / "kitti")


@pytest.fixture
def store():
    """An object store: fsspec's file system in the memory of this process."""
    pytest.importorskip("upath", reason="needs universal_pathlib: pip install 'pointsam[remote]'")
    import fsspec

    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that puts a package, metadata and modules, on the search path, before all others."""

    def install(distribution, entries, modules=(), version="1.0", folder="site"):
        site = tmp_path / folder
        info = site / f"{distribution}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(
            "".join(f"[pointsam.{group}]\n{name} = {value}\n" for group, name, value in entries)
        )
        for name, text in dict(modules).items():
            (site / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(site)

    return install


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a small memory disk."""
    folders = []

    def mount(options):
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            mounted = False
        if not mounted:
            pytest.skip("mounting a file system is not permitted here")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)
