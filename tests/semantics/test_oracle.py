"""What each dial of the oracle does, measured on a hundred made-up objects in twenty frames."""

import json
import shutil
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from pointsam import rle
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.semantics import load_semantics, semantics_sha256
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.oracle import OracleConfig, OracleSemantics
from pointsam.semantics.precomputed import PrecomputedSemantics
from pointsam.taxonomy import NUSCENES, ClassSpec, LabelMapping, Taxonomy

MAPPING = default_mapping(NUSCENES, "same")
SIDE_PX = 110
FRAMES = 20
CAMERAS = ("CAM_FRONT", "CAM_BACK")

# Ten rows of ten objects, 6 pixels wide, every other one 4 instead of 8 pixels high; each row has one of every class.
IDS = np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint16)
for k in range(100):
    top, left = 10 * (k // 10) + 5, 10 * (k % 10) + 5
    IDS[top : top + (4 if k % 2 else 8), left : left + 6] = k + 1
OBJECTS = {str(k + 1): {"label": NUSCENES.names[k % 10], "score": 1} for k in range(100)}
CLASSES = np.arange(100) % 10
SMALL = np.arange(100) % 2 == 1


def write(folder, ids, objects):
    for camera in CAMERAS:
        (folder / camera).mkdir(parents=True, exist_ok=True)
        Image.fromarray(ids).save(folder / camera / "drive_0001.png")
        (folder / camera / "drive_0001.json").write_text(json.dumps(objects))
    return folder


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return write(tmp_path_factory.mktemp("truth2d"), IDS, OBJECTS)


@pytest.fixture
def report(truth, frame, view_of):
    """What the oracle says of one image."""

    def report(folder=truth, frame_id="f", camera="CAM_FRONT", seed=0, ids=IDS, **dials):
        oracle = OracleSemantics(MAPPING, folder, OracleConfig(**dials), seed)
        image = np.zeros((*ids.shape, 3), dtype=np.uint8)
        return oracle.detect(image, replace(frame, frame_id=frame_id), view_of(*ids.shape, camera=camera))

    return report


@pytest.fixture
def reports(report):
    """The same of the image in many frames: equal truth, other draws."""
    return lambda frames=FRAMES, **dials: [report(frame_id=f"f{i}", **dials) for i in range(frames)]


def which(found):
    """Number of the object under each box; boxes without noise."""
    left, top = found.box_xyxy_px[:, :2].astype(int).T
    return IDS[top, left].astype(int) - 1


def kept(found_by_frame):
    """(frames,100) whether each object was reported."""
    return np.array([np.isin(np.arange(100), which(found)) for found in found_by_frame])


def confused(found_by_frame):
    """(frames,100) whether each object has another class than its own; none may be missed."""
    return np.array([found.class_id != CLASSES for found in found_by_frame])


def within(count, trials, rate, sigmas=4):
    return abs(count - trials * rate) < sigmas * np.sqrt(trials * rate * (1 - rate))


def same(a, b):
    return (
        a.box_xyxy_px.tobytes() == b.box_xyxy_px.tobytes()
        and a.class_id.tobytes() == b.class_id.tobytes()
        and a.score.tobytes() == b.score.tobytes()
        and a.rle == b.rle
    )


EVERYTHING = {"miss_rate": 0.2, "confusion": 0.2, "boundary": 0.1, "false_positives": 3, "score_noise": 0.1}


# The truth.


def test_undegraded_it_reports_the_truth_and_leaves_the_masks_to_sam(report, truth, frame, view_of):
    image, view = np.zeros((SIDE_PX, SIDE_PX, 3), dtype=np.uint8), view_of(SIDE_PX, SIDE_PX)
    true, found = PrecomputedSemantics(MAPPING, truth).detect(image, frame, view), report()
    assert same(found, replace(true, rle=None))
    assert found.box_xyxy_px[0].tolist() == [5, 5, 11, 13]
    assert found.class_id.tolist() == CLASSES.tolist()
    assert (found.score == 1).all()
    assert found.instances


def test_masks_are_the_true_ones_of_what_is_reported(report):
    found = report(masks=True, miss_rate=0.3)
    assert 0 < len(found) == len(found.rle) < 100
    for k, mask in zip(which(found), found.rle, strict=True):
        np.testing.assert_array_equal(rle.decode_mask(mask, *IDS.shape), k + 1 == IDS)


def test_labels_outside_the_mapping_are_background(truth, frame, view_of):
    oracle = OracleSemantics(LabelMapping(NUSCENES, {"car": "car"}), truth, OracleConfig(), 0)
    found = oracle.detect(np.zeros((SIDE_PX, SIDE_PX, 3), dtype=np.uint8), frame, view_of(SIDE_PX, SIDE_PX))
    assert which(found).tolist() == list(range(0, 100, 10))


def test_objects_that_show_too_few_pixels_are_not_reported(report):
    assert set(which(report(min_pixels=25))) == set(np.flatnonzero(~SMALL))  # 24 and 48 pixels
    assert len(report(min_pixels=24)) == 100
    assert len(report(min_pixels=49)) == 0


# Misses.


def test_the_miss_rate_is_the_share_of_objects_that_are_lost(reports):
    assert within(np.sum(~kept(reports(miss_rate=0.3))), 2000, 0.3)
    assert not kept(reports(frames=3, miss_rate=1)).any()


def test_a_higher_miss_rate_loses_more_of_the_same_objects(reports):
    found = [kept(reports(frames=4, miss_rate=rate)) for rate in (0, 0.05, 0.2, 0.5, 0.9)]
    assert found[0].all()
    for more, fewer in pairwise(found):
        assert (more | ~fewer).all()
        assert fewer.sum() < more.sum()


def test_small_objects_are_missed_at_their_own_rate_if_it_is_higher(reports):
    found = kept(reports(miss_rate_small=0.6, small_px=5))
    assert found[:, ~SMALL].all()
    assert within(np.sum(~found[:, SMALL]), 1000, 0.6)
    low = kept(reports(miss_rate=0.3, miss_rate_small=0.1, small_px=5))
    np.testing.assert_array_equal(low, kept(reports(miss_rate=0.3)))


def test_an_object_as_high_as_the_limit_is_not_small(reports):
    assert kept(reports(frames=2, miss_rate_small=1, small_px=4)).all()
    assert (kept(reports(frames=2, miss_rate_small=1, small_px=8)) == ~SMALL).all()


# Confusion.


def test_the_confusion_is_the_share_of_objects_with_another_class(reports):
    few, many = (confused(reports(confusion=rate)) for rate in (0.1, 0.4))
    assert within(few.sum(), 2000, 0.1)
    assert within(many.sum(), 2000, 0.4)
    assert (many | ~few).all()


def test_a_confused_object_never_keeps_its_class_and_has_any_other_alike(reports):
    found = reports(confusion=1)
    assert confused(found).all()
    turn = (np.array([f.class_id for f in found]).astype(int) - CLASSES) % 10
    counts = np.bincount(turn.ravel(), minlength=10)
    assert counts[0] == 0
    assert all(within(count, 2000, 1 / 9) for count in counts[1:])


# Boundaries.


def test_the_boundary_noise_has_the_standard_deviation_asked_for(reports, report):
    true = report().box_xyxy_px
    extent = np.tile(true[:, 2:] - true[:, :2], 2)
    error = np.array([(found.box_xyxy_px - true) / extent for found in reports(boundary=0.05)])
    assert error.std(axis=(0, 1)) == pytest.approx([0.05] * 4, rel=0.08)
    assert abs(error.mean()) < 4 * 0.05 / np.sqrt(error.size)
    assert np.abs(np.corrcoef(error.reshape(-1, 4).T) - np.eye(4)).max() < 4 / np.sqrt(2000)


def test_boxes_stay_in_the_image_and_at_least_a_pixel_wide_and_high(report, tmp_path):
    ids = np.zeros((20, 30), dtype=np.uint16)
    ids[:, :29], ids[19, 29] = 1, 2
    folder = write(tmp_path, ids, {"1": {"label": "bus", "score": 1}, "2": {"label": "car", "score": 1}})
    found = [report(folder, frame_id=f"f{i}", ids=ids, boundary=0.5, min_pixels=0) for i in range(40)]
    box = np.concatenate([f.box_xyxy_px for f in found])
    assert len(box) == 80
    assert (box >= 0).all()
    assert (box <= [30, 20, 30, 20]).all()
    assert (box[:, 2:] - box[:, :2] >= 1).all()


# What is not there.


def test_false_positives_are_poisson_distributed_about_the_number_asked_for(reports):
    counts = np.array([len(found) - 100 for found in reports(frames=80, false_positives=8)])
    assert abs(counts.mean() - 8) < 4 * np.sqrt(8 / 80)
    assert counts.var() == pytest.approx(8, rel=0.5)


def test_more_false_positives_add_to_those_already_there(reports):
    few, many = (reports(frames=6, false_positives=rate) for rate in (1, 4))
    for less, more in zip(few, many, strict=True):
        assert more.box_xyxy_px[: len(less)].tobytes() == less.box_xyxy_px.tobytes()
    assert sum(map(len, many)) > sum(map(len, few))


def test_a_false_positive_is_as_large_and_high_as_a_true_object_and_less_sure(reports):
    found = reports(frames=30, false_positives=10)
    box, score, class_id = (
        np.concatenate([getattr(f, name)[100:] for f in found]) for name in ("box_xyxy_px", "score", "class_id")
    )
    left, top, right, bottom = box.T
    assert set(right - left) == {6}
    assert {(t, b) for t, b in zip(top, bottom, strict=True)} <= {
        (10 * i + 5, 10 * i + 5 + h) for i in range(10) for h in (4, 8)
    }
    assert left.min() >= 0
    assert right.max() <= SIDE_PX
    assert np.ptp(left) > 90
    assert 0.3 <= score.min() < score.max() < 0.7
    assert set(class_id) == set(range(10))


def test_a_false_positive_has_a_mask_where_masks_are_given(report):
    found = report(masks=True, false_positives=5)
    assert len(found) > 100
    for mask, box in zip(found.rle[100:], found.box_xyxy_px[100:], strict=True):
        assert rle.bbox_xyxy_px(mask, *IDS.shape) == tuple(box)
        assert rle.area_px(mask, *IDS.shape) == (box[2] - box[0]) * (box[3] - box[1])


@pytest.mark.parametrize("shape", [(40, 60), (1, 1)])
def test_an_empty_street_has_them_too(report, tmp_path, shape):
    ids = np.zeros(shape, dtype=np.uint16)
    folder = write(tmp_path, ids, {})
    assert len(report(folder, ids=ids)) == 0
    box = report(folder, ids=ids, false_positives=20).box_xyxy_px
    assert len(box) > 5
    assert (box >= 0).all()
    assert (box <= np.array([*shape[::-1], *shape[::-1]])).all()
    assert (box[:, 2:] > box[:, :2]).all()


# Scores.


def test_score_noise_is_taken_off_the_score(reports):
    score = np.concatenate([found.score for found in reports(score_noise=0.1)])
    assert (score <= 1).all()
    assert (1 - score).mean() == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.06)
    wild = np.concatenate([found.score for found in reports(frames=3, score_noise=1)])
    assert wild.min() == 0


# Draws.


def test_the_same_image_is_degraded_the_same_way(report):
    assert same(report(**EVERYTHING), report(**EVERYTHING))


@pytest.mark.parametrize("change", [{"frame_id": "g"}, {"camera": "CAM_BACK"}, {"seed": 1}], ids=str)
@pytest.mark.parametrize("dial", EVERYTHING)
def test_another_frame_camera_or_seed_is_degraded_another_way(report, change, dial):
    value = {dial: 9 if dial == "false_positives" else EVERYTHING[dial]}
    assert not same(report(**value), report(**value, **change))


def test_a_dial_changes_nothing_but_what_it_is_about(report):
    alone, among = report(miss_rate=0.2), report(**EVERYTHING)
    num_true = len(alone)
    every = report(confusion=0.2, boundary=0.1, score_noise=0.1)
    left = np.isin(np.arange(100), which(alone))
    for name in ("box_xyxy_px", "class_id", "score"):
        np.testing.assert_array_equal(getattr(among, name)[:num_true], getattr(every, name)[left])
    false = report(false_positives=3).box_xyxy_px[100:]
    np.testing.assert_array_equal(among.box_xyxy_px[num_true:], false)


# What is refused.


@pytest.mark.parametrize(
    "change",
    [
        {"miss_rate": -0.1},
        {"miss_rate": float("nan")},
        {"miss_rate_small": 1.1},
        {"small_px": -1},
        {"small_px": float("inf")},
        {"confusion": 1.01},
        {"miss_rate": 1.01},
        {"score_noise": 1.01},
        {"boundary": -0.01},
        {"boundary": 0.501},
        {"false_positives": -1},
        {"false_positives": 101},
        {"score_noise": -0.5},
        {"min_pixels": -1},
    ],
    ids=str,
)
def test_a_value_out_of_range_names_its_field(change):
    with pytest.raises(SchemaError, match=f"SCH005.*oracle.{next(iter(change))}"):
        OracleConfig(**change)


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_a_range_are_in_it(end):
    shares = dict.fromkeys(("miss_rate", "miss_rate_small", "confusion", "score_noise"), float(end == "high"))
    other = {"boundary": 0.5, "false_positives": 100} if end == "high" else {"small_px": 0, "min_pixels": 0}
    assert vars(OracleConfig(**shares, **other)).items() >= (shares | other).items()


def test_true_masks_have_no_noisy_boxes():
    with pytest.raises(SchemaError, match=r"SCH005.*oracle\.boundary(.|\n)*oracle\.masks"):
        OracleConfig(masks=True, boundary=0.1)


def test_a_single_class_cannot_be_confused(truth, report):
    mapping = default_mapping(Taxonomy("cars", (ClassSpec("car"),)), "same")
    assert OracleSemantics(mapping, truth, OracleConfig(), 0).name == "oracle"
    with pytest.raises(SchemaError, match=r"SCH005.*oracle\.confusion(.|\n)*'cars'"):
        OracleSemantics(mapping, truth, OracleConfig(confusion=0.1), 0)


@pytest.mark.parametrize(
    "call", [lambda d: OracleSemantics(MAPPING, d, OracleConfig(), 0), lambda d: semantics_sha256("oracle", d)]
)
def test_the_truth_must_be_there_as_instance_maps(truth, tmp_path, call):
    with pytest.raises(DatasetError, match=r"DAT001.*nowhere(.|\n)*--masks-dir"):
        call(tmp_path / "nowhere")
    folder = shutil.copytree(truth, tmp_path / "copy")
    for path in folder.glob("*/*.png"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"DAT002.*RleJson(.|\n)*docs/oracle\.md"):
        call(folder)
    shutil.rmtree(folder / "CAM_FRONT")
    shutil.rmtree(folder / "CAM_BACK")
    with pytest.raises(DatasetError, match="DAT002"):
        call(folder)


def test_an_image_without_truth_is_refused(report, truth, tmp_path):
    folder = shutil.copytree(truth, tmp_path / "copy")
    (folder / "CAM_FRONT" / "drive_0001.json").unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*drive_0001\.json"):
        report(folder)


def test_loading_by_name_needs_the_folder_and_takes_the_dials(truth, frame, view_of):
    def load(**more):
        return load_semantics("oracle", mapping=MAPPING, **more)

    image, view = np.zeros((SIDE_PX, SIDE_PX, 3), dtype=np.uint8), view_of(SIDE_PX, SIDE_PX)
    assert len(load(masks_dir=truth).detect(image, frame, view)) == 100
    dials = OracleConfig(miss_rate=0.5)
    one, other = (load(masks_dir=truth, config=dials, seed=s).detect(image, frame, view) for s in (0, 1))
    assert not same(one, other)
    for call in (lambda: load(masks_dir=None), lambda: semantics_sha256("oracle")):
        with pytest.raises(DatasetError, match=r"DAT001.*oracle(.|\n)*--masks-dir"):
            call()


def test_its_fingerprint_is_that_of_the_files(truth):
    assert semantics_sha256("oracle", truth) == semantics_sha256("precomputed", truth)


def test_the_page_names_every_dial_and_its_default(request):
    page = (request.config.rootpath / "docs" / "oracle.md").read_text()
    rows = dict(
        line.strip("| ").split(" | ")[:2]
        for line in page.splitlines()
        if line.startswith("| `") and "masks.oracle" not in line
    )
    assert {name.strip("`"): json.loads(default) for name, default in rows.items()} == {
        f.name: f.default for f in fields(OracleConfig)
    }
