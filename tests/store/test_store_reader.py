import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from helpers.store_samples import (
    FRAMES,
    METADATA,
    SHARDS,
    fill,
    frame_labels,
    image_masks,
    label_tables,
    open_run,
    tables_of,
)

from pointsam.base.document import json_values
from pointsam.base.errors import DatasetError, SchemaError, StoreError
from pointsam.store import schema
from pointsam.store.document import ShardStats, StageDocument
from pointsam.store.manifest import plan_shards
from pointsam.store.reader import Labels


@dataclass(frozen=True)
class Sample(StageDocument):
    stage: ClassVar[str] = "clusters"

    words: tuple[str, ...]
    kappa: float


@pytest.fixture
def opened(monkeypatch):
    """Names of the table files that were read, in order."""
    names, read = [], Path.read_bytes

    def spy(path):
        if path.suffix == ".parquet":
            names.append(f"{path.parts[-3]}/{path.stem}")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", spy)
    return names


def test_frames_come_in_the_order_of_the_data_set(tmp_path):
    fill(tmp_path)
    labels = Labels(tmp_path)
    assert labels.frame_ids() == [frame_id for _, frame_id in FRAMES]
    assert [(row.scene, row.frame_id) for row in labels.frames()] == FRAMES


def test_labels_are_those_that_were_written(tmp_path):
    fill(tmp_path)
    found, written = Labels(tmp_path).labels("f3"), frame_labels("f3", seed=3)
    assert found.frame == written.frame
    assert found.clusters == written.clusters
    assert found.labels.instance_id.tolist() == written.labels.instance_id.tolist()
    assert found.labels.class_id.tolist() == written.labels.class_id.tolist()
    assert found.views.tolist() == written.views.tolist()
    assert found.covered.tolist() == written.covered.tolist()


def test_sizes_of_clusters_are_read_without_the_points(tmp_path, opened):
    fill(tmp_path)
    labels = Labels(tmp_path)
    sizes = list(labels.cluster_sizes())
    assert {name.split("/")[0] for name in opened} == {"clusters"}
    found = [(frame_id, labels.labels(frame_id).clusters) for frame_id in labels.frame_ids()]
    assert sizes == [(frame_id, c.class_name, c.num_points) for frame_id, clusters in found for c in clusters]


def test_clusters_are_read_without_the_points(tmp_path, opened):
    fill(tmp_path)
    labels = Labels(tmp_path)
    found = [labels.clusters(frame_id) for frame_id in labels.frame_ids()]
    assert {name.split("/")[0] for name in opened} == {"clusters"}
    assert found == [labels.labels(frame_id).clusters for frame_id in labels.frame_ids()]


def test_masks_come_by_camera_in_the_order_written(tmp_path):
    fill(tmp_path, "masks")
    found = Labels(tmp_path).masks("f3")
    assert list(found) == ["left", "right"]
    assert found["right"].masks.rle == image_masks("f3", "right", seed=35).masks.rle


def test_a_frame_without_clusters_keeps_its_points(tmp_path):
    run = open_run(tmp_path, shards=SHARDS[:1])
    run.commit(SHARDS[0], label_tables([frame_labels("f0", num_clusters=0), frame_labels("f1")]), ShardStats())
    found = Labels(tmp_path).labels("f0")
    assert found.clusters == ()
    assert len(found.labels) == 20


def test_a_failed_frame_says_so_and_has_no_labels(tmp_path):
    run = open_run(tmp_path, shards=SHARDS[:1])
    run.commit(SHARDS[0], label_tables([frame_labels("f0", failed=True), frame_labels("f1")]), ShardStats())
    found = Labels(tmp_path).labels("f0")
    assert (found.frame.status, found.frame.error_code, len(found.labels)) == ("failed", "DAT006", 0)


def test_one_frame_costs_its_own_shard_only(tmp_path, opened):
    fill(tmp_path)
    Labels(tmp_path).labels("f2")
    assert opened == [f"{table}/{SHARDS[1].name}" for table in ("frames", "points", "clusters")]


def test_all_frames_read_every_file_once(tmp_path, opened):
    fill(tmp_path)
    labels = Labels(tmp_path)
    for frame_id in labels.frame_ids():
        labels.labels(frame_id)
    assert sorted(opened) == sorted(f"{t}/{s.name}" for t in ("frames", "points", "clusters") for s in SHARDS)


def test_reading_everything_holds_one_shard(tmp_path):
    shards = plan_shards([("one", f"f{k}") for k in range(8)], 2)
    fill(tmp_path, shards=shards, num_points=30_000)
    before, held = pa.total_allocated_bytes(), []
    labels = Labels(tmp_path)
    for frame_id in labels.frame_ids():
        labels.labels(frame_id)
        held.append(pa.total_allocated_bytes() - before)
    assert held[0] > 2 * 30_000 * 4
    assert max(held) < 1.5 * held[0]


def test_values_outlive_the_shard_they_came_from(tmp_path):
    fill(tmp_path, "masks")
    labels = Labels(tmp_path)
    kept = labels.masks("f0")["left"].masks.pred_iou
    before = kept.copy()
    for _, frame_id in FRAMES:
        labels.masks(frame_id)
    assert kept.flags.owndata
    assert kept.tolist() == before.tolist()


def test_the_content_is_that_of_the_shards_of_the_frames(tmp_path):
    fill(tmp_path)
    labels = Labels(tmp_path)
    first, last = SHARDS[0].frame_ids[0], SHARDS[-1].frame_ids[0]
    assert labels.content("clusters", [first]) == labels.content("clusters", SHARDS[0].frame_ids)
    assert len({labels.content("clusters", ids) for ids in ([], [first], [last], [first, last])}) == 4
    assert labels.content("clusters", ["unknown"]) == labels.content("clusters", [])


def test_sources_of_a_frame_are_those_that_were_committed(tmp_path):
    run = open_run(tmp_path)
    f0, f1 = SHARDS[0].frame_ids[:2]
    run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats(), {f0: {"sweep 0": "1-a"}})
    labels = Labels(tmp_path)
    assert labels.sources("clusters", f0) == {"sweep 0": "1-a"}
    assert labels.sources("clusters", f1) == {}
    with pytest.raises(StoreError, match="OUT004"):
        labels.sources("clusters", SHARDS[1].frame_ids[0])
    with pytest.raises(DatasetError, match="DAT010"):
        labels.sources("clusters", "unknown")


def test_a_folder_in_the_making_shows_what_is_done(tmp_path):
    run = open_run(tmp_path)
    run.commit(SHARDS[1], tables_of("clusters", SHARDS[1]), ShardStats())
    labels = Labels(tmp_path)
    assert labels.frame_ids() == list(SHARDS[1].frame_ids)
    assert labels.selection("clusters") == FRAMES
    with pytest.raises(StoreError, match=r"OUT004.*'f0' has no clusters yet"):
        labels.labels("f0")


def test_a_folder_explains_itself(tmp_path):
    document = Sample("1", ("car", "person"), 0.04)
    run = open_run(tmp_path, document=document, data_root=Path("data"))
    labels = Labels(tmp_path)
    assert labels.document(Sample) == document
    assert labels.key("clusters") == run.key
    assert json_values(labels.metadata("clusters")) == json_values({**METADATA, "taxonomy": labels.taxonomy})
    assert labels.taxonomy.names == ("car", "person")
    assert labels.data_root() == Path("data").resolve()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"kappa": 0.04', '"kappa": "0.04"', "in stages.clusters.document: kappa is wrong"),
        ('"kappa": 0.04', '"kapa": 0.04', "in stages.clusters.document: kapa is not a field"),
        ('"words": [', '"mine": 1, "words": [', "in stages.clusters.document: mine is not a field"),
        ('"calibration_perturbation"', '"calibration"', "in stages.clusters.metadata: calibration"),
        ('"key"', '"kay"', "stages.clusters.k[ea]y is"),
        ('"schema_version": 2,\n  "stages"', '"stages"', "schema_version is missing"),
        ('"stages": {', '"stages": [{}], "more": {', "more is not a field"),
        ('"frames": 7', '"frames": "7"', "in stages.clusters.document.plan: frames is wrong"),
        ("{", "[" * 100_000, "not valid JSON: nested too deeply"),
    ],
)
def test_an_edited_run_json_is_damage_that_names_file_and_field(tmp_path, old, new, told):
    open_run(tmp_path, document=Sample("1", ("car",), 0.04))
    path = tmp_path / "run.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    def read():
        labels = Labels(tmp_path)
        return labels.document(Sample), labels.metadata("clusters"), labels.selection("clusters")

    with pytest.raises(StoreError, match=rf"OUT004.*run\.json is damaged: {told}"):
        read()


@pytest.mark.parametrize("change", [("two/é", "two/e"), ('"name"', '"nbme"'), ('"f0"', '"f9"')])
def test_an_edited_plan_is_not_believed(tmp_path, change):
    fill(tmp_path)
    path = tmp_path / "manifest" / "clusters.json"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(StoreError, match=r"OUT004.*clusters\.json is missing or damaged"):
        Labels(tmp_path).frame_ids()
    fill(tmp_path)
    assert len(Labels(tmp_path).frame_ids()) == len(FRAMES)


@pytest.mark.parametrize("change", [('"bytes"', '"bytds"'), ('"failed": 0', '"failed": null'), ("{", "[" * 100_000)])
def test_an_edited_entry_means_a_shard_that_is_not_done(tmp_path, change):
    fill(tmp_path)
    path = tmp_path / "manifest" / "clusters" / f"{SHARDS[0].name}.json"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(StoreError, match=r"OUT004.*'f0' has no clusters yet"):
        Labels(tmp_path).labels("f0")


def test_an_entry_without_a_table_is_not_believed(tmp_path):
    fill(tmp_path)
    path = tmp_path / "manifest" / "clusters" / f"{SHARDS[0].name}.json"
    entry = json.loads(path.read_text())
    entry["files"] = {name: file for name, file in entry["files"].items() if not name.startswith("points")}
    path.write_text(json.dumps(entry))
    with pytest.raises(StoreError, match=r"OUT004.*damaged"):
        Labels(tmp_path).labels("f0")


def test_a_taxonomy_that_is_none_is_damage(tmp_path):
    open_run(tmp_path, metadata={**METADATA, "taxonomy": {"name": "two"}})
    with pytest.raises(StoreError, match=r"OUT004.*run\.json is damaged"):
        _ = Labels(tmp_path).taxonomy


def test_every_file_explains_itself(tmp_path):
    fill(tmp_path)
    for path in tmp_path.glob("*/scene=*/*.parquet"):
        said = pq.read_schema(path).metadata
        assert said[b"pointsam.schema_version"] == {"clusters": b"4", "masks": b"2"}.get(path.parts[-3], b"3")
        assert said[b"pointsam.config"] == b'{"kappa":0.04}'
        assert said[b"pointsam.calibration_perturbation"] == b"none"


def test_an_unknown_frame_is_named(tmp_path):
    fill(tmp_path)
    with pytest.raises(DatasetError, match=r"DAT010.*'nowhere'"):
        Labels(tmp_path).labels("nowhere")


@pytest.mark.parametrize("make", [lambda out: None, lambda out: out.mkdir()])
def test_an_empty_place_names_the_command_that_fills_it(tmp_path, make):
    make(tmp_path / "out")
    with pytest.raises(StoreError, match="OUT004") as caught:
        Labels(tmp_path / "out")
    assert "the output folder of pointsam-label run DATA --out OUT" in caught.value.hint


def test_a_stage_that_did_not_run_names_its_command(tmp_path):
    fill(tmp_path, "masks")
    with pytest.raises(StoreError, match="OUT004") as caught:
        Labels(tmp_path).labels("f0")
    assert "pointsam-label clusters DATA" in caught.value.hint


def test_a_table_changed_by_one_bit_is_not_believed(tmp_path):
    fill(tmp_path)
    path = tmp_path / "points" / "scene=one" / f"{SHARDS[0].name}.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"OUT004.*damaged") as caught:
        Labels(tmp_path).labels("f0")
    assert str(path) in caught.value.message


def test_deleting_a_damaged_table_makes_its_shard_again(tmp_path):
    fill(tmp_path)
    os.remove(tmp_path / "points" / "scene=one" / f"{SHARDS[0].name}.parquet")
    fill(tmp_path)
    assert len(Labels(tmp_path).labels("f0").labels) == 20


def test_a_table_of_another_schema_version_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(schema, "TABLE_VERSIONS", {"points": 99})
        fill(tmp_path)
    with pytest.raises(SchemaError, match=r"SCH003.*parquet has schema version 99"):
        Labels(tmp_path).labels("f0")


def test_a_folder_of_another_schema_version_is_refused(tmp_path):
    fill(tmp_path)
    path = tmp_path / "run.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(SchemaError, match=r"SCH003.*run.json has schema version 99"):
        Labels(tmp_path)
    with pytest.raises(SchemaError, match="SCH003"):
        open_run(tmp_path)


@pytest.mark.parametrize("scene", ["scene-0061", "a/b c=d%é", ".hidden", "_hidden", ".."])
def test_any_scene_name_is_a_folder_that_hive_readers_read_back(tmp_path, scene):
    shards = plan_shards([(scene, "f0")], 1)
    fill(tmp_path, shards=shards)
    assert Labels(tmp_path).labels("f0").frame.scene == scene
    assert pq.read_table(tmp_path / "clusters")["scene"].to_pylist() == [scene] * 3


def test_scenes_of_digits_stay_text_with_a_declared_partition(tmp_path):
    fill(tmp_path, shards=plan_shards([("0001", "f0")], 1))
    scene = ds.partitioning(pa.schema([("scene", pa.string())]), flavor="hive")
    assert ds.dataset(tmp_path / "points", partitioning=scene).to_table()["scene"].to_pylist() == ["0001"]
