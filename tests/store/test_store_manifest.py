import json
import shutil
from dataclasses import replace
from urllib.parse import unquote

import pytest
from helpers.store_samples import (
    METADATA,
    SHARDS,
    failed_image,
    fill,
    frame_labels,
    image_masks,
    label_tables,
    open_run,
    tables_of,
    tree,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError, StoreError
from pointsam.base.files import temporary_of
from pointsam.store.document import ShardStats
from pointsam.store.layout import encode_scene, table_path
from pointsam.store.manifest import plan_shards
from pointsam.store.reader import Labels
from pointsam.store.schema import masks_table


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 7))
def test_a_plan_holds_every_frame_once_in_shards_of_one_scene(scenes, size):
    frames = [(scene, str(k)) for k, scene in enumerate(scenes)]
    shards = plan_shards(frames, size)
    assert sorted((s.scene, f) for s in shards for f in s.frame_ids) == sorted(frames)
    assert all(0 < len(shard.frame_ids) <= size for shard in shards)
    assert len({shard.name for shard in shards}) == len(shards)


def test_shards_are_named_by_scene_and_number():
    names = [shard.name for shard in plan_shards([("scene-0061", "a"), ("scene-0061", "b")], 1)]
    assert names == ["scene-0061-00000", "scene-0061-00001"]


@pytest.mark.parametrize(("frames", "size"), [([("a", "1")], 0), ([("a", "1"), ("b", "1")], 4), ([("", "1")], 4)])
def test_no_plan_of_empty_shards_double_frames_or_nameless_scenes(frames, size):
    with pytest.raises(SchemaError, match="SCH005"):
        plan_shards(frames, size)


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=19))
def test_a_scene_makes_a_visible_name_of_plain_characters(scene):
    name = encode_scene(scene)
    assert unquote(name) == scene
    assert "/" not in name
    assert name[0] not in "._"


@pytest.mark.parametrize("scene", ["../../x", "/x", "..", "C:\\x", "a\0b", "a/b"])
def test_a_scene_of_any_name_stays_in_its_folder(tmp_path, scene):
    path = table_path(tmp_path, "frames", scene, encode_scene(scene))
    assert path.relative_to(tmp_path / "frames").parent.name.startswith("scene=")
    assert not {"..", "/", "\\", "\0", ":"} & {*path.relative_to(tmp_path).parts, *path.name}


def test_a_scene_name_fits_into_a_file_name_or_is_refused_at_the_start(tmp_path):
    (shard,) = plan_shards([("n" * 236, "a")], 1)
    temporary_of(table_path(tmp_path, "frames", "s", shard.name)).parent.mkdir(parents=True)
    temporary_of(table_path(tmp_path, "frames", "s", shard.name)).touch()
    with pytest.raises(SchemaError, match=r"SCH005.*scene name 'n+'.*longer than"):
        plan_shards([("n" * 237, "a")], 1)


def test_a_plan_cuts_each_scene_in_the_order_of_its_frames():
    frames = [("b", "1"), ("a", "2"), ("b", "3"), ("b", "4"), ("a", "5")]
    cut = [(shard.name, shard.scene, shard.frame_ids) for shard in plan_shards(frames, 2)]
    assert cut == [("b-00000", "b", ("1", "3")), ("b-00001", "b", ("4",)), ("a-00000", "a", ("2", "5"))]


@pytest.mark.parametrize(
    ("scene", "name"), [("a/b é", "a%2Fb%20%C3%A9"), (".x", "%2Ex"), ("_x", "%5Fx"), ("x_.", "x_.")]
)
def test_a_scene_is_percent_encoded(scene, name):
    assert encode_scene(scene) == name


def test_files_of_a_run_are_json_for_people(tmp_path):
    open_run(tmp_path, "masks", metadata={**METADATA, "tool_version": "é"})
    fill(tmp_path, shards=SHARDS[:1])
    run, entry = (tmp_path / name for name in ("run.json", f"manifest/clusters/{SHARDS[0].name}.json"))
    text = json.dumps(json.loads(run.read_text()), indent=2, sort_keys=True, ensure_ascii=False)
    assert run.read_text() == text + "\n"
    assert entry.read_text() == json.dumps(json.loads(entry.read_text()), indent=1) + "\n"
    assert json.loads(entry.read_text())["failed"] == 0
    plan = json.loads((tmp_path / "manifest" / "clusters.json").read_text())
    assert plan == {"shards": [{"name": "one-00000", "scene": "one", "frame_ids": ["f0", "f1"]}]}


def test_a_new_run_has_everything_to_do(tmp_path):
    run = open_run(tmp_path / "deep" / "out")
    assert run.pending() == list(SHARDS)
    assert run.done() == set()


def test_a_committed_shard_is_done_for_good(tmp_path):
    run = open_run(tmp_path)
    run.commit(SHARDS[1], tables_of("clusters", SHARDS[1]), ShardStats(peak_mb=2))
    assert run.pending((1, 2)) == [SHARDS[3]]
    again = open_run(tmp_path)
    assert again.done() == {SHARDS[1].name}
    assert again.stats() == {SHARDS[1].name: ShardStats(peak_mb=2)}
    assert again.pending() == [SHARDS[0], *SHARDS[2:]]


def test_shards_i_of_n_share_the_work_without_overlap(tmp_path):
    run = open_run(tmp_path)
    parts = [run.pending((i, 3)) for i in range(3)]
    assert parts == [[SHARDS[0], SHARDS[3]], [SHARDS[1]], [SHARDS[2]]]


@pytest.mark.parametrize("shard_of", [(2, 2), (-1, 2), (0, 0)])
def test_shard_i_of_n_counts_from_zero(tmp_path, shard_of):
    with pytest.raises(SchemaError, match="SCH005"):
        open_run(tmp_path).pending(shard_of)


def test_two_runs_write_equal_bytes(tmp_path):
    for out in ("a", "b"):
        fill(tmp_path / out, "masks")
        fill(tmp_path / out, "clusters")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_seconds_are_in_the_manifest_and_not_in_the_tables(tmp_path):
    for out, seconds in (("a", 1.0), ("b", 2.0)):
        run = open_run(tmp_path / out)
        run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats(peak_mb=seconds))
    a, b = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert {name for name in a if a[name] != b[name]} == {f"manifest/clusters/{SHARDS[0].name}.json"}


def test_another_configuration_is_refused_field_by_field(tmp_path):
    run = open_run(tmp_path, document={"sar": {"kappa": 0.04, "floor": 1}, "seed": 0})
    run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())
    with pytest.raises(StoreError) as caught:
        open_run(tmp_path, document={"sar": {"kappa": 0.05, "floor": 1}, "seed": 0, "new": True})
    assert caught.value.code == "OUT001"
    lines = [line.strip() for line in caught.value.message.splitlines()[1:]]
    assert lines == ["new: unset -> true", "sar.kappa: 0.04 -> 0.05"]
    assert "another --out" in caught.value.hint
    assert f"{tmp_path}/manifest/clusters" in caught.value.hint


def test_changed_2d_results_are_told_in_words(tmp_path):
    metadata = {**METADATA, "weights_sha256": {"segmenter": "ab", "semantics": "00"}}
    run = open_run(tmp_path, metadata=metadata)
    run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())
    with pytest.raises(StoreError, match="OUT001") as caught:
        open_run(tmp_path, metadata={**metadata, "weights_sha256": {"segmenter": "cd", "semantics": "c0"}})
    segmenter, semantics = caught.value.message.splitlines()[1:]
    assert segmenter.endswith('weights_sha256.segmenter: "ab" -> "cd"')
    assert semantics.endswith('"00" -> "c0" (for precomputed results, this is the content of --masks-dir)')


def test_a_noise_run_never_continues_a_clean_one(tmp_path):
    fill(tmp_path)
    with pytest.raises(StoreError, match="calibration_perturbation"):
        open_run(tmp_path, metadata={**METADATA, "calibration_perturbation": "5 cm"})


def test_another_selection_of_frames_is_refused(tmp_path):
    fill(tmp_path)
    with pytest.raises(StoreError, match=r"plan.frames: 7 -> 2"):
        open_run(tmp_path, shards=SHARDS[:1])


def test_deleting_what_the_hint_names_lets_another_configuration_in(tmp_path):
    fill(tmp_path)
    with pytest.raises(StoreError) as caught:
        open_run(tmp_path, document={"kappa": 1})
    for folder in caught.value.hint.split("rm -r ")[1].split():
        shutil.rmtree(folder)
    assert open_run(tmp_path, document={"kappa": 1}).pending() == list(SHARDS)


def test_the_configuration_may_change_while_nothing_is_written(tmp_path):
    open_run(tmp_path, document={"kappa": 1})
    assert open_run(tmp_path, document={"kappa": 2}).pending() == list(SHARDS)


def test_a_run_that_was_replaced_meanwhile_may_not_write(tmp_path):
    old = open_run(tmp_path, document={"kappa": 1})
    open_run(tmp_path, document={"kappa": 2})
    with pytest.raises(StoreError, match=r"OUT001.*another process"):
        old.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())


def test_tables_without_run_json_are_refused(tmp_path):
    fill(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(StoreError, match=r"OUT001.*\n.*not known"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"stages": {}}', '{"schema_version": 2}', '{"schema_version": 2, "stages": {"masks": {"key": ""}}}'],
)
def test_a_damaged_run_json_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(StoreError, match=r"OUT004.*run.json is damaged"):
        open_run(tmp_path)


def test_the_stages_of_a_folder_do_not_disturb_each_other(tmp_path):
    fill(tmp_path, "masks")
    fill(tmp_path, "clusters")
    assert open_run(tmp_path, "masks").pending() == []
    assert set(json.loads((tmp_path / "run.json").read_text())["stages"]) == {"masks", "clusters"}


def test_moved_data_is_no_other_configuration(tmp_path):
    open_run(tmp_path, data_root=tmp_path / "here")
    fill(tmp_path)
    assert open_run(tmp_path, data_root=tmp_path / "there").pending() == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": 1}'])
def test_a_damaged_manifest_entry_means_the_shard_is_made_again(tmp_path, damage):
    fill(tmp_path / "whole")
    run = fill(tmp_path / "out")
    (tmp_path / "out" / "manifest" / "clusters" / f"{SHARDS[0].name}.json").write_text(damage)
    assert run.pending() == [SHARDS[0]]
    fill(tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_a_missing_or_short_table_means_the_shard_is_made_again(tmp_path, change):
    run = fill(tmp_path)
    change(tmp_path / "points" / "scene=one" / f"{SHARDS[0].name}.parquet")
    assert run.pending() == [SHARDS[0]]


def test_an_entry_copied_from_another_configuration_counts_for_nothing(tmp_path):
    other = open_run(tmp_path / "other", document={"kappa": 1})
    other.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())
    run = open_run(tmp_path / "out")
    shutil.copytree(tmp_path / "other", tmp_path / "out", dirs_exist_ok=True, ignore=shutil.ignore_patterns("run.json"))
    assert run.done() == set()


def test_a_lost_plan_is_written_again(tmp_path):
    fill(tmp_path)
    before = tree(tmp_path)
    (tmp_path / "manifest" / "clusters.json").unlink()
    open_run(tmp_path)
    assert tree(tmp_path) == before


def test_the_first_of_two_equal_shards_stands(tmp_path):
    run = fill(tmp_path)
    before = tree(tmp_path)
    run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats(peak_mb=1))
    assert tree(tmp_path) == before


def test_a_shard_made_from_other_sources_replaces_the_old_one(tmp_path):
    run, tables = open_run(tmp_path), tables_of("clusters", SHARDS[0])
    for peak_mb, digest, kept_mb in ((1, "a", 1), (2, "a", 1), (3, "b", 3)):
        run.commit(SHARDS[0], tables, ShardStats(peak_mb=peak_mb), {"f0": {"sweep 0": digest}})
        assert run.stats()[SHARDS[0].name].peak_mb == kept_mb


def test_other_code_is_refused_once_something_is_written(tmp_path):
    old, new = {"code": "a", "numpy": "1"}, {"code": "a", "numpy": "2"}
    open_run(tmp_path, code=old)
    run = open_run(tmp_path, code=new)  # nothing was written: the new code counts
    run.require_same_code()
    run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())
    late = open_run(tmp_path, code=old)
    with pytest.raises(StoreError, match=r'OUT001.*(?s:.)*numpy: "2" -> "1"'):
        late.require_same_code()
    with pytest.raises(StoreError, match="OUT001"):
        late.commit(SHARDS[1], tables_of("clusters", SHARDS[1]), ShardStats())
    again = open_run(tmp_path, code=new)
    again.require_same_code()
    assert again.done() == {SHARDS[0].name}


def test_the_code_changes_no_table(tmp_path):
    for name, code in (("a", {"code": "a"}), ("b", {"code": "b"})):
        run = open_run(tmp_path / name, code=code)
        run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())
    one, other = (open_run(tmp_path / name, code={"code": name}) for name in "ab")
    assert one.key == other.key
    tables = [{p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.parquet")} for name in "ab"]
    assert tables[0] == tables[1]


def test_a_shard_with_a_failed_frame_is_done_but_can_be_retried(tmp_path):
    run = open_run(tmp_path, shards=SHARDS[:1])
    names = SHARDS[0].frame_ids
    run.commit(SHARDS[0], label_tables([frame_labels(names[0]), frame_labels(names[1], failed=True)]), ShardStats())
    assert run.pending() == []
    assert run.pending(retry_failed=True) == [SHARDS[0]]
    run.commit(SHARDS[0], label_tables([frame_labels(name) for name in names]), ShardStats())
    assert run.pending(retry_failed=True) == []


def test_a_failed_image_makes_a_masks_shard_worth_retrying(tmp_path):
    run = open_run(tmp_path, "masks", shards=SHARDS[:1])
    run.commit(SHARDS[0], {"masks": masks_table([image_masks("f0"), failed_image("f1")], METADATA)}, ShardStats())
    assert run.pending(retry_failed=True) == [SHARDS[0]]


def test_a_stage_writes_its_own_tables_only(tmp_path):
    run = open_run(tmp_path, "masks")
    with pytest.raises(SchemaError, match=r"SCH003.*got tables"):
        run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())


def test_a_table_of_other_columns_is_refused(tmp_path):
    run = open_run(tmp_path, "masks")
    tables = tables_of("masks", SHARDS[0])
    with pytest.raises(SchemaError, match=r"SCH003.*'masks' has columns"):
        run.commit(SHARDS[0], {"masks": tables["masks"].drop_columns(["source"])}, ShardStats())


def test_what_is_no_number_is_not_written_to_the_manifest(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        open_run(tmp_path).commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats(peak_mb=float("nan")))


@pytest.mark.parametrize("damage", [None, "{}", "["])
def test_a_lost_plan_is_told_to_readers(tmp_path, damage):
    fill(tmp_path)
    plan = tmp_path / "manifest" / "clusters.json"
    plan.unlink() if damage is None else plan.write_text(damage)
    with pytest.raises(StoreError, match=r"OUT004.*clusters\.json is missing or damaged"):
        Labels(tmp_path).frame_ids()


def test_incomplete_metadata_is_refused_before_any_work(tmp_path):
    with pytest.raises(SchemaError, match="SCH003"):
        open_run(tmp_path / "out", metadata={"config": {}})
    assert not (tmp_path / "out").exists()


def test_remarks_on_scenes_are_kept_and_replaced(tmp_path):
    run = open_run(tmp_path)
    assert run.remarks() == Labels(tmp_path).remarks() == {}
    run.keep_remarks("b", ("its poses jump",))
    run.keep_remarks("a", ("no poses", "gaps"))
    again = open_run(tmp_path)
    assert Labels(tmp_path).remarks() == again.remarks() == {"a": ("no poses", "gaps"), "b": ("its poses jump",)}
    again.keep_remarks("a", ())
    assert run.remarks() == {"b": ("its poses jump",)}
    again.keep_remarks("b", ())
    assert "remarks" not in json.loads((tmp_path / "run.json").read_text())["stages"]["clusters"]


def test_remarks_of_another_configuration_are_refused(tmp_path):
    run = open_run(tmp_path)
    with pytest.raises(StoreError, match="another configuration") as refused:
        replace(run, key="other").keep_remarks("a", ("gaps",))
    assert refused.value.code == "OUT001"
