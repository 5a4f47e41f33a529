"""`pointsam-label synth` as a batch job: any number of workers, any interruption, the same bytes."""

import hashlib
import json
import shutil
from functools import cache

import pytest
from click.testing import CliRunner
from helpers.commands import refused

from pipelines.cli.label import main
from pipelines.world import render
from pipelines.world.config import SynthConfig
from pointsam.base.errors import SchemaError

pytestmark = pytest.mark.usefixtures("open3d")

CONFIG = SynthConfig(scenes=1, frames=2, seed=5, scale=0.1)
OPTIONS = ["--scenes", "1", "--frames", "2", "--seed", "5", "--scale", "0.1"]


def digests(root):
    """Path -> sha256 of everything but the manifest, which also holds memory figures."""
    files = (path for path in root.rglob("*") if path.is_file() and "manifest" not in path.parts)
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module", autouse=True)
def small():
    """Every frame is a shard, and this process, though not its workers, builds a scene once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "SHARD_FRAMES", 1)
        patch.setattr(render, "film", cache(render.film))
        yield


@pytest.fixture(scope="module")
def whole(open3d, small, tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "world"
    made = render.synthesize(CONFIG, out, workers=1)
    assert (made.frames, made.frames_left) == (2, 0)
    return out


def call(*arguments):
    return CliRunner().invoke(main, ["synth", *map(str, arguments)])


def test_shards_do_not_show_in_the_bytes(whole, tmp_path):
    out = tmp_path / "world"
    first = render.synthesize(CONFIG, out, workers=1, shard=(1, 2))
    assert first.frames_left == 1
    assert not (out / CONFIG.version).exists()  # the last call writes the tables
    assert "left to other --shard calls" in first.text()
    assert render.synthesize(CONFIG, out, workers=1, shard=(0, 2)).frames_left == 0
    assert digests(out) == digests(whole)


def test_an_interrupted_run_goes_on_with_any_number_of_workers(whole, tmp_path):
    out = tmp_path / "world"
    shutil.copytree(whole, out)
    for seal in (out / "manifest" / "synth").glob("*.json"):
        if files := json.loads(seal.read_text()).get("files"):
            (out / next(iter(files))).unlink()  # as if the disk had lost it
    done = call(out, *OPTIONS, "--workers", "2", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["frames"] == 2
    assert digests(out) == digests(whole)
    again = call(out, *OPTIONS)
    assert "nothing left to do" in again.output


def test_a_damaged_row_of_an_earlier_call_is_refused_by_its_field(whole, tmp_path):
    out = tmp_path / "world"
    shutil.copytree(whole, out)
    first, *_ = sorted((out / "synth").glob("*.json"))
    first.write_text(first.read_text().replace('"t_us"', '"time"', 1))
    result = call(out, *OPTIONS)
    refused(result, "OUT004", f"{first} is damaged: 0.", "t_us is missing")


def test_other_options_are_refused_in_the_same_folder(whole):
    done = call(whole, "--scenes", "1", "--frames", "3")
    assert done.exit_code == 2
    assert "[OUT001]" in done.output
    assert "config.frames: 2 -> 3" in done.output


def test_a_data_set_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "samples").mkdir()
    done = call(tmp_path, "--frames", "1")
    assert done.exit_code == 2
    assert "[OUT001]" in done.output
    assert list(tmp_path.iterdir()) == [tmp_path / "samples"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--scenes", "0"), ("--scenes", "751"), ("--frames", "0"), ("--preset", "snow"), ("--scale", "9")],
)
def test_values_out_of_range_are_refused(option, value, tmp_path):
    done = call(tmp_path / "world", option, value)
    assert done.exit_code == 2
    assert "[SCH005]" in done.output
    assert not (tmp_path / "world").exists()


def test_dry_run_estimates_and_writes_nothing(tmp_path):
    done = call(tmp_path / "world", *OPTIONS, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    plan = json.loads(done.output)
    assert plan["frames"] == 2
    assert plan["hours"] > 0
    assert plan["megabytes"] > 2
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize(("scenes", "version", "held_out"), [(1, "v1.0-mini", 1), (10, "v1.0-mini", 2)])
def test_small_roots_are_named_as_the_mini_set(scenes, version, held_out):
    config = SynthConfig(scenes=scenes)
    assert config.version == version
    assert len(set(config.scene_names)) == scenes
    assert len(config.splits["val"]) == held_out


def test_every_fifth_scene_of_a_large_root_is_held_out():
    config = SynthConfig(scenes=750)
    assert config.version == "v1.0-trainval"
    assert len(set(config.scene_names)) == 750
    assert len(config.splits["val"]) == 150
    with pytest.raises(SchemaError, match="SCH005"):
        SynthConfig(scenes=751)


def test_a_scene_is_built_again_after_another_could_not_be(monkeypatch):
    def film(config, scene):
        if scene == 1:
            raise MemoryError
        return f"scene {scene}"

    monkeypatch.setattr(render, "film", film)
    films = render._Films(CONFIG)
    assert films(0) == "scene 0"
    with pytest.raises(MemoryError):
        films(1)
    assert films(0) == "scene 0"  # was None: the number of the scene stayed when its film was dropped
