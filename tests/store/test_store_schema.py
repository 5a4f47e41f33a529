import numpy as np
import pyarrow as pa
import pytest
from helpers.store_samples import METADATA, failed_image, frame_labels, image_masks, label_tables
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pointsam.base.errors import SchemaError
from pointsam.store import rows
from pointsam.store.schema import (
    CLUSTERS,
    FRAMES,
    MASKS,
    POINTS,
    check_metadata,
    clusters_table,
    frames_table,
    masks_table,
    points_table,
    table_metadata,
)
from pointsam.store.writer import SCHEMAS
from pointsam.taxonomy import BACKGROUND
from pointsam.types import Cluster, Detections, FrameLabels, FrameRow, ImageMasks, Masks, PointLabels

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
floats = st.floats(allow_nan=False)
int32s = st.integers(-(2**31), 2**31 - 1)


def arrays(dtype, *shape):
    return hnp.arrays(dtype, shape, elements=None if np.dtype(dtype).kind in "iu" else st.floats(0, 1, width=32))


@st.composite
def clusters(draw, cluster_id):
    vector = st.tuples(floats, floats, floats)
    cameras = draw(st.lists(texts, max_size=3))
    return Cluster(
        cluster_id,
        draw(st.integers(0, 254)),
        draw(texts),
        draw(st.integers(0, 2**31 - 1)),
        draw(vector),
        draw(vector),
        draw(floats),
        draw(floats),
        tuple(cameras),
        tuple(draw(st.lists(int32s, min_size=len(cameras), max_size=len(cameras)))),
        *(draw(floats) for _ in range(3)),
        draw(st.integers(0, 2**31 - 1)),
        draw(floats),
        draw(st.integers(0, 2**31 - 1)),
        draw(floats),
        draw(floats),
    )


@st.composite
def labels_of_frames(draw):
    n, m = draw(st.integers(0, 30)), draw(st.integers(0, 4))
    ids = draw(hnp.arrays(np.int32, n, elements=st.integers(-1, m - 1)))
    classes = draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 254)))
    frame = FrameRow(
        draw(texts), draw(texts), draw(st.integers(-(2**63), 2**63 - 1)), n, m, calibration_hash=draw(texts)
    )
    return FrameLabels(
        frame,
        PointLabels(ids, np.where(ids < 0, BACKGROUND, classes).astype(np.uint8)),
        draw(arrays(np.uint8, n)),
        draw(arrays(np.uint8, n)),
        draw(hnp.arrays(np.bool_, n)) & (ids >= 0),
        tuple(draw(clusters(k)) for k in range(m)),
    )


@st.composite
def images(draw):
    k, d, p = (draw(st.integers(0, 4)) for _ in range(3))
    runs = st.binary(max_size=12)
    masks = Masks(
        draw(st.integers(0, 5000)),
        draw(st.integers(0, 5000)),
        tuple(draw(st.lists(runs, min_size=k, max_size=k))),
        draw(arrays(np.float32, k)),
        draw(arrays(np.float32, k)),
        draw(arrays(np.int32, k)),
    )
    found = Detections(
        draw(arrays(np.float32, d, 4)),
        draw(arrays(np.uint8, d)),
        draw(arrays(np.float32, d)),
        draw(st.none() | st.lists(runs, min_size=d, max_size=d).map(tuple)),
        draw(st.booleans()),
    )
    status, code = draw(st.sampled_from([("ok", ""), ("failed", "DAT005")]))
    return ImageMasks(draw(texts), draw(texts), status, code, draw(texts), masks, found, draw(arrays(np.int32, p, 2)))


def assert_same(a, b):
    """Equal values of equal types, arrays bit for bit."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    elif isinstance(a, PointLabels | Masks | Detections | ImageMasks | FrameLabels):
        for name in vars(a):
            assert_same(getattr(a, name), getattr(b, name))
    else:
        assert a == b


@settings(max_examples=15)
@given(st.lists(labels_of_frames(), max_size=3))
def test_labels_come_back_as_they_went(frames):
    tables = label_tables(frames)
    start = 0
    for k, frame in enumerate(frames):
        stop = start + len(frame.clusters)
        back = FrameLabels(
            rows.read_frame(tables["frames"], k, frame.frame.scene),
            *rows.read_points(tables["points"], k),
            rows.read_clusters(tables["clusters"], range(start, stop)),
        )
        assert_same(back, frame)
        start = stop


@settings(max_examples=15)
@given(st.lists(images(), max_size=3))
def test_masks_come_back_as_they_went(found):
    table = masks_table(found, METADATA)
    for k, image in enumerate(found):
        assert_same(rows.read_image_masks(table, k), image)


def test_tables_have_the_types_of_the_contract():
    tables = label_tables([frame_labels("f0"), frame_labels("f1", failed=True)])
    assert tables["frames"].schema.equals(FRAMES)
    assert tables["points"].schema.equals(POINTS)
    assert tables["clusters"].schema.equals(CLUSTERS)
    assert masks_table([image_masks("f0"), failed_image("f0")], METADATA).schema.equals(MASKS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_only_the_masks_of_detections_may_be_missing(name):
    assert [field.name for field in SCHEMAS[name] if field.nullable] == ["detection_rle"] * (name in ("masks", "looks"))
    kinds = [field.type for field in SCHEMAS[name]]
    while kinds := [kind for kind in kinds if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)]:
        assert not any(kind.value_field.nullable for kind in kinds)
        kinds = [kind.value_type for kind in kinds]


def test_vectors_have_the_lengths_of_the_contract():
    assert [CLUSTERS.field(name).type.list_size for name in ("center_lidar_m", "size_aabb_m")] == [3, 3]
    assert MASKS.field("prompts_uv_px").type.value_type.list_size == 2
    assert MASKS.field("detection_box_xyxy_px").type.value_type.list_size == 4


def test_a_sweep_is_one_row_of_int16_and_bytes():
    kinds = {name: POINTS.field(name).type.value_type for name in POINTS.names[1:]}
    counts = {"views": pa.uint8(), "covered": pa.uint8()}
    assert kinds == {"cluster_id": pa.int16(), "class_id": pa.uint8(), **counts, "grown": pa.bool_()}


def frame_of_clusters(count):
    frame = frame_labels("f0", num_clusters=1)
    members = tuple(Cluster(k, 0, "car", 1, (0.0,) * 3, (0.0,) * 3, 0.0, 0.0) for k in range(count))
    row = FrameRow(**{**vars(frame.frame), "num_clusters": count})
    return FrameLabels(row, frame.labels, frame.views, frame.covered, frame.grown, members)


@pytest.mark.parametrize("table", [points_table, clusters_table])
def test_the_32769th_cluster_of_a_frame_is_refused(table):
    with pytest.raises(SchemaError, match=r"SCH006.*32769 clusters") as caught:
        table([frame_of_clusters(32769)], METADATA)
    assert "f0" in caught.value.message


def test_the_32768th_cluster_of_a_frame_is_kept():
    assert clusters_table([frame_of_clusters(32768)], METADATA)["cluster_id"][-1].as_py() == 32767


@pytest.mark.parametrize("missing", ["config", "taxonomy", "weights_sha256", "calibration_perturbation"])
def test_a_table_must_say_how_it_was_made(missing):
    with pytest.raises(SchemaError, match=f"SCH003.*lacks {missing}"):
        check_metadata({name: value for name, value in METADATA.items() if name != missing})


@pytest.mark.parametrize(("status", "code"), [("ok", "DAT005"), ("failed", ""), ("maybe", "")])
def test_a_row_fails_with_a_code_or_not_at_all(status, code):
    with pytest.raises(SchemaError, match="SCH003"):
        FrameRow("f0", "one", 0, 0, 0, status, code)


def test_clusters_and_points_must_agree():
    frame = frame_labels("f0", num_clusters=3)
    with pytest.raises(SchemaError, match=r"SCH003.*cluster ids"):
        FrameLabels(frame.frame, frame.labels, frame.views, frame.covered, frame.grown, frame.clusters[:2])


def test_points_are_of_the_clusters_there_are():
    frame = frame_labels("f0", num_clusters=3)
    assert frame.labels.instance_id.max() == 2
    two = FrameRow(**{**vars(frame.frame), "num_clusters": 2})
    with pytest.raises(SchemaError, match=r"SCH003.*cluster ids"):
        FrameLabels(two, frame.labels, frame.views, frame.covered, frame.grown, frame.clusters[:2])
    nothing = FrameRow("f0", "one", 0, 1)
    assert len(FrameLabels.empty(nothing).labels) == 1


def test_points_of_the_sweeps_must_add_up():
    assert FrameRow("f0", "one", 0, 5).sweep_points == (5,)
    assert FrameRow("f0", "one", 0, 0, 0, "failed", "DAT006").sweep_points == ()
    assert FrameRow("f0", "one", 0, 5, sweep_points=(3, 2)).sweep_index.tolist() == [0, 0, 0, 1, 1]
    with pytest.raises(SchemaError, match=r"SCH003.*frame f0 of 5 points has sweeps of \(3, 3\)"):
        FrameRow("f0", "one", 0, 5, sweep_points=(3, 3))


def test_frames_of_version_2_have_one_sweep():
    table = frames_table([FrameRow("f0", "one", 0, 5, sweep_points=(3, 2))], METADATA)
    assert rows.read_frame(table, 0, "one").sweep_points == (3, 2)
    assert rows.read_frame(table.drop_columns(["sweep_points"]), 0, "one").sweep_points == (5,)


def test_metadata_are_text_or_canonical_json():
    said = table_metadata({**METADATA, "config": {"b": 1, "a": "é"}}, "frames")
    assert said[b"pointsam.config"] == '{"a":"é","b":1}'.encode()
    assert said[b"pointsam.calibration_perturbation"] == b"none"
    assert said[b"pointsam.schema_version"] == b"3"
    assert table_metadata(METADATA, "points")[b"pointsam.schema_version"] == b"3"


@pytest.mark.parametrize("column", ["views", "covered", "grown"])
def test_views_and_masks_are_counted_for_every_point(column):
    frame = frame_labels("f0")
    with pytest.raises(SchemaError, match=r"SCH003.*view counts"):
        FrameLabels(**{**vars(frame), column: getattr(frame, column)[1:]})


def test_a_grown_point_has_a_cluster():
    frame = frame_labels("f0")
    with pytest.raises(SchemaError, match=r"SCH003.*frame f0: a grown point has no cluster"):
        FrameLabels(**{**vars(frame), "grown": frame.labels.instance_id < 0})


def test_prompts_are_pairs():
    image = image_masks("f0")
    with pytest.raises(SchemaError, match=r"SCH003.*prompts"):
        ImageMasks(**{**vars(image), "prompts_uv_px": image.prompts_uv_px.ravel()})
    with pytest.raises(SchemaError, match=r"SCH003.*prompts"):
        ImageMasks(**{**vars(image), "prompts_uv_px": np.zeros((2, 3), np.int32)})
