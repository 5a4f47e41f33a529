"""The real embedded network, a picture that anyone may have, and a real one."""

import numpy as np
import pytest
from PIL import Image

HEIGHT_PX, WIDTH_PX = 300, 480
DISC_UV_PX, DISC_RADIUS_PX = (170, 140), 60


@pytest.fixture(scope="session")
def mobile_sam():
    pytest.importorskip("torch", reason="needs pointsam[sam]")
    from pointsam.masks import load_segmenter

    return load_segmenter("mobile_sam")


@pytest.fixture(scope="session")
def stock_sam():
    """The same weights in segment_anything's own classes."""
    pytest.importorskip("torch", reason="needs pointsam[sam]")
    from pointsam.base.tensors import read_tensors
    from pointsam.masks import weight_files
    from pointsam.masks.checkpoint import load_all
    from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names

    sam = build_mobile_sam()
    path = weight_files("mobile_sam")[0].path
    load_all(sam, from_upstream_names(read_tensors(path)), path)
    return sam


@pytest.fixture(scope="session")
def disc():
    """(H,W) true pixels of the disc."""
    v, u = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    return (u - DISC_UV_PX[0]) ** 2 + (v - DISC_UV_PX[1]) ** 2 <= DISC_RADIUS_PX**2


@pytest.fixture(scope="session")
def disc_image(disc):
    """A red disc and a blue rectangle on a green grain."""
    grain = np.random.default_rng(0).normal(0, 12, (HEIGHT_PX, WIDTH_PX, 1))
    image = np.array([70, 120, 70]) + grain
    image[disc] += [120, -70, -40]
    image[180:260, 320:430] += [-50, -60, 110]
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def disc_embedding(mobile_sam, disc_image):
    return mobile_sam.embed(disc_image)


@pytest.fixture(scope="session")
def street_image(nuscenes_root):
    path = next((nuscenes_root / "samples" / "CAM_FRONT").glob("*.jpg"))
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="session")
def street_embedding(mobile_sam, street_image):
    return mobile_sam.embed(street_image)
