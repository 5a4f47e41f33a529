"""Which LiDAR of nuScenes-like tables is labelled."""

import pytest
from helpers.nuscenes_root import make_root, token

from pointsam.base.errors import DatasetError
from pointsam.datasets import open_dataset
from pointsam.datasets.nuscenes.dataset import NuScenes


def renamed(**channels):
    """An `edit` of make_root that gives sensors other channels."""

    def edit(tables):
        for row in tables["sensor"]:
            row["channel"] = channels.get(row["channel"], row["channel"])

    return edit


def second(channel):
    """An `edit` that adds a LiDAR which shares the files of the first, 10 ms later."""

    def edit(tables):
        tables["sensor"].append({"token": "s2", "channel": channel, "modality": "lidar"})
        of_top = next(row for row in tables["calibrated_sensor"] if row["token"] == token("calibrated", "LIDAR_TOP"))
        tables["calibrated_sensor"].append({**of_top, "token": "c2", "sensor_token": "s2", "translation": [3, 0, 1]})
        for row in [row for row in tables["sample_data"] if row["calibrated_sensor_token"] == of_top["token"]]:
            other = {**row, "calibrated_sensor_token": "c2", "timestamp": row["timestamp"] + 10_000}
            tables["sample_data"].append(
                other | {name: row[name] and f"2{row[name]}" for name in ("prev", "next", "token")}
            )

    return edit


def test_the_only_lidar_is_used_whatever_its_name(tmp_path):
    usual, other = (
        NuScenes(make_root(tmp_path / name, edit=renamed(LIDAR_TOP=name))) for name in ("LIDAR_TOP", "LIDAR_CONCAT")
    )
    assert (usual.lidar, other.lidar) == (None, "LIDAR_CONCAT")
    frame = other.frame(other.frame_ids()[0])
    assert frame.sweep.sensor == "LIDAR_CONCAT"
    assert frame.sweep.t_us == usual.frame(usual.frame_ids()[0]).sweep.t_us
    assert len(other.past_sweeps(other.frame_ids()[1], 5)) == 3


def test_lidar_top_is_the_usual_one_and_another_can_be_named(tmp_path):
    root = make_root(tmp_path / "root", edit=second("LIDAR_FRONT"))
    usual, front = open_dataset(root), open_dataset(root, lidar="LIDAR_FRONT")
    assert (usual.lidar, front.lidar) == (None, "LIDAR_FRONT")
    assert open_dataset(root, lidar="LIDAR_TOP").fingerprint() == usual.fingerprint() != front.fingerprint()
    frame_id = usual.frame_ids()[1]
    sweeps = [dataset.frame(frame_id).sweep for dataset in (usual, front)]
    assert sweeps[1].t_us - sweeps[0].t_us == 10_000
    assert (sweeps[1].sensor, sweeps[1].ego_SE3_lidar.translation_m.tolist()) == ("LIDAR_FRONT", [3, 0, 1])
    assert front.lidar_token(frame_id) == "2" + usual.lidar_token(frame_id)
    assert [sweep.sensor for sweep in front.past_sweeps(frame_id, 2)] == ["LIDAR_FRONT"] * 2
    assert open_dataset(root).frame(frame_id).sweep.sensor == "LIDAR_TOP"  # each has an index of its own


def test_other_lidars_without_LIDAR_TOP_must_be_named(tmp_path):
    def edit(tables):
        second("LIDAR_REAR")(tables)
        renamed(LIDAR_TOP="LIDAR_FRONT")(tables)

    root = make_root(tmp_path / "root", edit=edit)
    with pytest.raises(DatasetError, match=r"DAT010.*several LiDARs: LIDAR_FRONT, LIDAR_REAR\n.*--lidar LIDAR_"):
        open_dataset(root)
    assert open_dataset(root, lidar="LIDAR_REAR").lidar == "LIDAR_REAR"


@pytest.mark.parametrize("name", ["lidar_top", "LIDAR_TPO", "Lidar Top"])
def test_an_unknown_lidar_is_refused_with_the_nearest(nuscenes_root, name):
    with pytest.raises(DatasetError, match=rf"DAT010.*no LiDAR is called '{name}'.*LIDAR_TOP\n.*--lidar LIDAR_TOP"):
        open_dataset(nuscenes_root, lidar=name)


def test_tables_without_a_lidar_name_what_there_is(tmp_path):
    def edit(tables):
        renamed(LIDAR_TOP="ROOF")(tables)
        for row in tables["sensor"]:
            row["modality"] = row["modality"].replace("lidar", "scanner")

    with pytest.raises(DatasetError, match=r"DAT010.*no sensor is a LiDAR.*CAM_BACK.*ROOF"):
        open_dataset(make_root(tmp_path / "root", edit=edit))


def test_modalities_may_be_written_in_capitals(tmp_path):
    def edit(tables):
        for row in tables["sensor"]:
            row["modality"] = row["modality"].upper()

    dataset = open_dataset(make_root(tmp_path / "root", edit=edit))
    assert len(dataset.frame(dataset.frame_ids()[0]).cameras) == 6
