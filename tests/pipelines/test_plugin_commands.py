"""`pointsam-label plugins` and `weights` with plug-ins of another package."""

import hashlib
import json

import pytest
from helpers.commands import label, refused
from helpers.server import served

THEIRS = """
from pointsam.masks import SegmentConfig
from pointsam.masks.base import SegmenterPlugin
from pointsam.masks.weights import WeightFile

FILES = tuple(WeightFile("tiny", f"tiny{{k}}.bin", "{url}", "{sha256}", 4, "MIT") for k in range(2))
TINY = SegmenterPlugin(SegmentConfig, None, FILES)
BARE = SegmenterPlugin(SegmentConfig, None)
"""


def test_the_list_says_where_a_plug_in_comes_from_and_what_is_broken(install):
    install(
        "theirs", [("exporters", "broken", "no_such_module:FORMAT"), ("exporters", "coco", "no_such_module:FORMAT")]
    )
    result = label("plugins")
    assert result.exit_code == 0
    lines = {tuple(line.split()[:3]): line for line in result.output.splitlines()}
    assert set(result.output.splitlines()[1]) == {"-", " "}  # as below the header of every other table
    assert lines["datasets", "kitti", "pointsam"].endswith("yes")
    assert lines["exporters", "broken", "theirs"].endswith("no")
    assert lines["exporters", "coco", "pointsam"].endswith("no")
    assert "error [PLG001] export format 'broken' of theirs 1.0" in result.output
    assert result.output.count("[PLG002]") == 1
    rows = json.loads(label("plugins", "--json").output)
    assert {"group": "datasets", "name": "folder", "distribution": "pointsam"}.items() <= rows[0].items()
    assert [row["name"] for row in rows if row["error"]] == ["broken", "coco", "coco"]


@pytest.fixture
def address(tmp_path, monkeypatch):
    """Where the file tiny.bin is published."""
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "tiny.bin").write_bytes(b"tiny")
    with served(tmp_path / "server") as url:
        yield f"{url}/tiny.bin"


def test_weights_of_every_segmenter_are_listed_fetched_and_verified(install, address, tmp_path, monkeypatch):
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "cache"))
    module = THEIRS.format(url=address, sha256=hashlib.sha256(b"tiny").hexdigest())
    entries = [("segmenters", name, f"their_masks:{name.upper()}") for name in ("tiny", "bare", "broken")]
    install("theirs", entries, {"their_masks": module})

    def listed(name):
        return [line for line in label("weights", "ls").output.splitlines() if line.split()[0] == name]

    assert ["MIT" in line and "not here" in line for line in listed("tiny")] == [True, True]
    assert "in the package" in listed("mobile_sam")[0]
    assert "cannot be loaded" in listed("broken")[0]
    refused(label("weights", "verify", "tiny"), "BCK001", "`pointsam-label weights get tiny`")
    assert label("weights", "get", "tiny").exit_code == 0
    assert ["not here" in line for line in listed("tiny")] == [False, False]
    assert label("weights", "verify", "tiny").output.count("tiny: sha256") == 2
    refused(label("weights", "get", "bare"), "BCK001", "bare")
    refused(label("weights", "get", "tinny"), "SCH005", "tiny")


def test_an_unknown_format_is_refused_with_the_known_ones(drive, out, tmp_path):
    refused(label("export", out, drive[0], "--to", "waymo", "--dest", tmp_path), "SCH005", "waymo", "openpcdet")
