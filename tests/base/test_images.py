"""Formats of image files and their decoders."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image

import pointsam
from pointsam.base.errors import DatasetError
from pointsam.base.images import MASK_FORMATS, PHOTO_FORMATS, open_image
from pointsam.datasets.io import ImageFile, image_size, read_image
from pointsam.semantics.layouts import InstancePng
from pointsam.semantics.places import ImageName
from pointsam.taxonomy import NUSCENES, LabelMapping

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\nshowpage\n%%EOF\n"
PACKAGE = Path(pointsam.__file__).parent
IMAGE = ImageName("0", "scene", "CAM", ("one.jpg",), 1)


def content(form):
    if form == "EPS":
        return POSTSCRIPT
    sink = io.BytesIO()
    Image.new("L", (8, 6), 1).save(sink, form)
    return sink.getvalue()


def mask_file(folder, png, names):
    """The instance map of IMAGE."""
    (folder / "CAM").mkdir()
    (folder / "CAM" / "one.json").write_text(names)
    path = folder / "CAM" / "one.png"
    path.write_bytes(png)
    return path


@pytest.fixture
def no_program(monkeypatch):
    """Pillow must not come to start Ghostscript."""

    def started(*_args, **_more):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)


@pytest.mark.parametrize("form", PHOTO_FORMATS)
def test_a_camera_image_may_have_any_of_the_formats(tmp_path, form):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content(form))
    assert read_image(ImageFile(path)).shape == (6, 8, 3)


@pytest.mark.parametrize("form", ["EPS", "GIF", "PPM"])
@pytest.mark.parametrize("read", [read_image, image_size])
def test_a_camera_image_of_another_format_is_DAT005(tmp_path, no_program, read, form):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content(form))
    with pytest.raises(DatasetError, match=r"photo\.jpg.*JPEG, PNG, WEBP, BMP or TIFF") as caught:
        read(ImageFile(path))
    assert caught.value.code == "DAT005"
    assert "convert" in caught.value.hint


@pytest.mark.parametrize("form", ["EPS", "GIF", "BMP", "TIFF"])
def test_a_mask_that_is_no_png_is_DAT011(tmp_path, no_program, form):
    path = mask_file(tmp_path, content(form), '{"1": {"label": "car", "score": 1}}')
    layout = InstancePng(tmp_path, LabelMapping(NUSCENES, {"car": "car"}))
    with pytest.raises(DatasetError, match=r"DAT011.*one\.png.*content is not PNG"):
        layout.read(IMAGE, (6, 8))
    path.write_bytes(content("PNG"))
    assert len(layout.read(IMAGE, (6, 8))) == 1


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "gone.png", MASK_FORMATS)


@pytest.mark.parametrize("folder", [PACKAGE, PACKAGE.parent / "pipelines", PACKAGE.parent / "scripts"])
def test_images_are_opened_in_one_place(folder):
    openers = [path for path in folder.rglob("*.py") if "Image.open(" in path.read_text()]
    assert openers == [path for path in [PACKAGE / "base" / "images.py"] if folder == PACKAGE]


def bomb(width, height):
    """A PNG of a few bytes that states a large image."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side_px", [10_001, 14_000, 100_000])
@pytest.mark.filterwarnings("error")
def test_an_image_that_would_fill_the_memory_is_refused_by_its_header(tmp_path, side_px):
    path = mask_file(tmp_path, bomb(side_px, side_px), "{}")
    for read in (read_image, image_size):
        with pytest.raises(DatasetError, match=r"DAT005.*one\.png"):
            read(ImageFile(path))
    with pytest.raises(DatasetError, match=r"DAT011.*one\.png"):
        InstancePng(tmp_path, LabelMapping(NUSCENES, {"car": "car"})).read(IMAGE, (side_px, side_px))
