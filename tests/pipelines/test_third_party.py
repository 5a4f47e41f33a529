"""A package that pointsam does not know (tests/data/third_party) brings one plug-in of each kind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import tables
from PIL import Image

import pointsam
from pointsam import rle
from pointsam.masks.base import SegmenterContext

PACKAGE = Path(__file__).parents[1] / "data" / "third_party"
CHECKOUT = Path(pointsam.__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The package, installed into a folder of its own."""
    pytest.importorskip("setuptools", minversion="77", reason="builds the package")
    folder = tmp_path_factory.mktemp("third_party")
    source = shutil.copytree(PACKAGE, folder / "source")  # the build leaves files there
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [sys.executable, *install, "--target", folder / "site", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def label(site):
    """The command line in a process that finds the package."""

    def call(*arguments):
        path = os.pathsep.join([str(site), str(CHECKOUT)])
        return subprocess.run(
            [sys.executable, "-m", "pipelines.cli.label", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A frame with a crate 8 m ahead: its front face in the sweep and in the image, and ground."""
    folder = tmp_path_factory.mktemp("yard")
    y, z = (axis.ravel() for axis in np.meshgrid(np.linspace(-0.5, 0.5, 11), np.linspace(-0.5, 0.5, 11)))
    crate = np.stack([np.full_like(y, 8.0), y, z, np.zeros_like(y)], axis=1)
    ground = np.stack([np.linspace(3, 20, 50), np.full(50, 2.0), np.full(50, -1.5), np.zeros(50)], axis=1)
    (folder / "a.bin").write_bytes(np.concatenate([crate, ground]).astype("<f4").tobytes())
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    image[26:35, 36:45, 0] = 150
    Image.fromarray(image).save(folder / "a.png")
    (folder / "yard.json").write_text(json.dumps({"a": 1_000_000}))
    return folder


@pytest.fixture(scope="module")
def out(label, root, tmp_path_factory):
    """A run that takes the data set by its root, and back ends with options by name."""
    folder = tmp_path_factory.mktemp("out") / "out"
    done = label(
        *("run", root, "--out", folder, "--masks", "scissors", "--semantics", "red", "--workers", 1),
        *("--set", "masks.red.least=140", "--set", "masks.scissors.margin_px=1"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_their_data_are_read_inside_an_archive_by_several_processes(label, root, out, tmp_path):
    pytest.importorskip("upath", reason="needs universal_pathlib: pip install 'pointsam[remote]'")
    archive = shutil.make_archive(str(tmp_path / "yard"), "zip", root)
    done = label(
        *("run", f"zip://::file://{archive}", "--out", tmp_path / "out", "--workers", 2),
        *("--masks", "scissors", "--semantics", "red"),
        *("--set", "masks.red.least=140", "--set", "masks.scissors.margin_px=1"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert tables(tmp_path / "out") == tables(out) != {}


def test_plug_ins_of_the_package_are_listed_with_ours(label):
    rows = {(row["group"], row["name"]): row for row in json.loads(label("plugins", "--json").stdout)}
    for key in (
        ("datasets", "yard"),
        ("segmenters", "scissors"),
        ("segmenters", "watershed"),
        ("semantics", "red"),
        ("exporters", "yard-csv"),
    ):
        assert (rows[key]["distribution"], rows[key]["version"], rows[key]["error"]) == ("yard", "1.2", "")
    assert rows["datasets", "kitti"]["distribution"] == "pointsam"
    assert "scissors" in label("run", "--help").stdout


def test_another_segmenter_of_the_package_finds_a_disc_by_its_box(monkeypatch):
    monkeypatch.syspath_prepend(PACKAGE)
    from yard_watershed import WATERSHED

    v, u = np.mgrid[:300, :480]
    disc = (u - 170) ** 2 + (v - 140) ** 2 <= 60**2
    image = np.array([70, 120, 70]) + np.random.default_rng(0).normal(0, 12, (300, 480, 1))
    image[disc] += [120, -70, -40]
    segmenter = WATERSHED.load(WATERSHED.config(), SegmenterContext("watershed", None, "cpu", 1, "watershed-1"))
    embedding = segmenter.embed(np.clip(image, 0, 255).astype(np.uint8))
    by_box = segmenter.from_boxes(embedding, np.array([[110, 80, 230, 200], [470, 290, 480, 300]], np.float32))
    found = rle.decode_mask(by_box.rle[0], 300, 480)
    assert (found & disc).sum() / (found | disc).sum() > 0.9
    assert by_box.source.tolist() == [0, 1]
    assert len(segmenter.from_points(embedding, np.array([[170, 140], [0, 0]], np.int32))) == 2


def test_a_run_records_them_and_their_options(out):
    masks = json.loads((out / "run.json").read_text())["stages"]["masks"]["document"]
    assert masks["dataset"]["name"] == "yard"
    assert masks["weights_sha256"] == {"segmenter": "scissors-1", "semantics": "red-1"}
    assert (masks["config"]["red"], masks["config"]["scissors"]) == (
        {"least": 140, "label": "crate"},
        {"margin_px": 1},
    )
    assert masks["taxonomy"]["classes"][0]["size_lwh_m"] == [1.2, 1.0, 1.0]


def test_their_format_is_written_with_their_sizes(label, root, out, tmp_path):
    done = label("export", out, root, "--to", "yard-csv", "--dest", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "note: boxes are fitted" in done.stdout
    header, row = (tmp_path / "val.csv").read_text().splitlines()
    assert header == "frame,class,points,length,width,height"
    frame, name, points, *size = row.split(",")
    assert (frame, name) == ("a", "crate")
    assert int(points) > 40
    assert [float(value) for value in size] == pytest.approx([1.2, 1.0, 1.0], abs=0.05)


def test_their_format_with_a_file_per_frame_has_every_point(label, root, out, tmp_path):
    done = label("export", out, root, "--to", "yard-txt", "--dest", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == ["val/a.txt"]
    ids = [int(line) for line in (tmp_path / "val" / "a.txt").read_text().splitlines()]
    assert len(ids) == (root / "a.bin").stat().st_size // 16
    assert ids.count(0) > 40
    assert set(ids) == {-1, 0}


def test_labels_of_theirs_are_read_without_the_package(out):
    from pointsam.store.reader import Labels

    labels = Labels(out)
    assert labels.taxonomy.names == ("crate", "gate")
    assert [cluster.class_name for cluster in labels.labels("a").clusters] == ["crate"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--set", "masks.scissors.margin_px=wide"), "masks.scissors.margin_px: Input should be a valid integer"),
        (("--set", "masks.scissors.colour=red"), "masks.scissors.margin_px"),
    ],
)
def test_options_are_checked_by_their_own_class(label, root, tmp_path, options, says):
    done = label("run", root, "--out", tmp_path / "out", "--masks", "scissors", *options)
    assert done.returncode == 2
    assert "error [SCH005]" in done.stderr
    assert says in done.stderr
