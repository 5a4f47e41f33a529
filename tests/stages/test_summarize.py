import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.stages.summarize import CameraEvidence, summarize
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels

CAR, PEDESTRIAN = 0, 7


def labels(ids, classes=None):
    """Instance ids, -1 = none; class by id, car if not said."""
    ids = np.array(ids, dtype=np.int32)
    class_id = [BACKGROUND if i < 0 else (classes or {}).get(int(i), CAR) for i in ids]
    return PointLabels(ids, np.array(class_id, dtype=np.uint8))


def evidence(ids, camera="CAM", classes=None, mask_id=None, pred_iou=None, stability=None, score=None):
    count = max([-1, *ids]) + 1
    return CameraEvidence(
        camera,
        labels(ids, classes),
        np.array(range(count) if mask_id is None else mask_id, dtype=np.int32),
        np.array([0.9] * count if pred_iou is None else pred_iou, dtype=np.float32),
        np.array([0.95] * count if stability is None else stability, dtype=np.float32),
        np.array([0.8] * count if score is None else score, dtype=np.float32),
    )


def clusters(final, *cameras, xyz=None, classes=None, grown=None):
    xyz = np.zeros((len(final), 3), dtype=np.float32) if xyz is None else np.array(xyz, dtype=np.float32)
    return summarize(xyz, labels(final, classes), cameras, NUSCENES, grown)[1]


def test_ids_are_dense_by_falling_size_then_first_point():
    numbered, told = summarize(np.zeros((6, 3), np.float32), labels([7, 3, 3, 5, -1, 7]), [], NUSCENES)
    assert numbered.instance_id.tolist() == [0, 1, 1, 2, -1, 0]
    assert [(c.cluster_id, c.num_points) for c in told] == [(0, 2), (1, 2), (2, 1)]


def test_the_centre_is_the_middle_of_the_extent_not_the_mean():
    (car,) = clusters([0, 0, 0], xyz=[(1, 2, 3), (4, 6, 15), (1, 6, 3)])
    assert car.center_lidar_m == (2.5, 4.0, 9.0)
    assert car.size_aabb_m == (3.0, 4.0, 12.0)
    assert car.radius_bev_m == 2.5
    assert car.range_m == pytest.approx(np.sqrt(2.5**2 + 4**2 + 9**2))


def test_every_cluster_has_the_extent_of_its_own_points():
    far, near = clusters([1, 0, 1, -1, 1], xyz=[(9, 0, 0), (1, 2, 3), (9, 4, 0), (50, 50, 50), (9, 2, 0)])
    assert (far.center_lidar_m, far.num_points) == ((9.0, 2.0, 0.0), 3)
    assert (near.center_lidar_m, near.num_points) == ((1.0, 2.0, 3.0), 1)


def test_a_cluster_names_its_class():
    (person,) = clusters([4, 4], classes={4: PEDESTRIAN})
    assert (person.class_id, person.class_name) == (PEDESTRIAN, "pedestrian")


def test_masks_are_listed_by_camera_then_by_points_held():
    left = evidence([0, 1, 1, -1], "LEFT", mask_id=[40, 30])
    right = evidence([-1, -1, 0, 0], "RIGHT", mask_id=[8])
    (car,) = clusters([0, 0, 0, 0], left, right)
    assert car.cameras == ("LEFT", "LEFT", "RIGHT")
    assert car.mask_ids == (30, 40, 8)


def test_masks_of_a_camera_with_equally_many_points_are_listed_by_index():
    (car,) = clusters([0, 0, 0, 0], evidence([0, 0, 1, 1], mask_id=[40, 30]))
    assert car.mask_ids == (30, 40)


def test_a_mask_without_a_point_of_the_cluster_is_not_named():
    (car,) = clusters([0, 0, -1], evidence([0, 0, 1]))
    assert car.mask_ids == (0,)


def test_mask_scores_are_weighted_by_points():
    seen = evidence([0, 0, 0, 1], pred_iou=[0.8, 0.4], stability=[1.0, 0.6], score=[0.6, 1.0])
    (car,) = clusters([0, 0, 0, 0], seen)
    assert car.pred_iou == pytest.approx(0.7)
    assert car.stability == pytest.approx(0.9)
    assert car.confidence == pytest.approx((0.7 * 0.7) ** 0.25)


def test_class_share_counts_masked_points_whose_mask_had_the_class():
    (car,) = clusters([0, 0, 0, 0, 0], evidence([0, 0, 0, 1, -1], classes={1: PEDESTRIAN}))
    assert car.class_share == pytest.approx(0.75)


def test_points_of_its_mask_that_became_background_were_cut():
    (car,) = clusters([0, 0, -1, -1, -1], evidence([0, 0, 0, 0, -1]))
    assert car.num_points_cut == 2


def test_a_point_that_two_masks_lost_was_cut_once():
    (car,) = clusters([0, 0, -1], evidence([0, 0, 0]), evidence([0, 0, 0], "OTHER"))
    assert car.num_points_cut == 1


def test_a_mask_that_only_grazes_a_cluster_cuts_nothing_from_it():
    large, small = clusters([0, 0, 0, 1, 1, -1], evidence([0, 0, 0, 0, 1, 0]))
    assert (large.num_points_cut, small.num_points_cut) == (1, 0)
    assert small.mask_ids == (0, 1)


def test_points_are_cut_from_the_cluster_that_holds_most_of_their_mask():
    large, small = clusters([0, 0, 0, 1, 1, -1, -1, -1], evidence([0, 0, 0, 1, 1, 0, 1, 1]))
    assert (large.num_points_cut, small.num_points_cut) == (1, 2)


def test_a_mask_shared_equally_answers_for_the_larger_cluster():
    large, small = clusters([0, 0, 0, 1, 1, -1], evidence([0, 0, -1, 0, 0, 0]))
    assert (large.num_points_cut, small.num_points_cut) == (1, 0)


def test_a_mask_that_lost_all_its_points_belongs_to_no_cluster():
    (car,) = clusters([0, 0, -1, -1], evidence([0, 0, 1, 1]))
    assert car.num_points_cut == 0


def test_confidence_is_the_geometric_mean_of_score_iou_class_share_and_kept_share():
    (car,) = clusters([0, 0, 0, -1], evidence([0, 0, 0, 0], score=[0.5], pred_iou=[0.8]))
    assert car.confidence == pytest.approx((0.5 * 0.8 * 1.0 * 0.75) ** 0.25)


@pytest.mark.parametrize(("pred_iou", "confidence"), [(1.05, 1.0), (-0.1, 0.0)])
def test_a_predicted_iou_counts_as_a_share(pred_iou, confidence):
    (car,) = clusters([0], evidence([0], score=[1.0], pred_iou=[pred_iou]))
    assert car.confidence == confidence


def test_a_cluster_without_masks_has_no_confidence():
    (car,) = clusters([0, 0], evidence([-1, -1]))
    assert (car.cameras, car.mask_ids, car.confidence) == ((), (), 0.0)


def test_a_sweep_without_objects_has_no_clusters():
    assert clusters([-1, -1], evidence([0, -1])) == ()
    assert clusters([], evidence([])) == ()


def test_evidence_of_another_sweep_is_refused():
    with pytest.raises(SchemaError, match=r"SCH003.*REAR: 3 labels for 2 points"):
        clusters([0, 0], evidence([0, 0, 0], "REAR"))


@st.composite
def frames(draw):
    size = draw(st.integers(0, 20))
    ids = st.lists(st.integers(-1, 4), min_size=size, max_size=size)
    final = draw(ids)
    return final, [evidence(draw(ids), f"CAM{c}") for c in range(draw(st.integers(0, 3)))]


def test_grown_points_count_in_the_size_and_the_extent():
    grown = np.array([False, False, True, False])
    (car,) = clusters(
        [0, 0, 0, -1], evidence([0, 0, -1, -1]), xyz=[(0, 0, 0), (2, 0, 0), (4, 6, 0), (9, 9, 9)], grown=grown
    )
    assert (car.num_points, car.num_points_grown) == (3, 1)
    assert car.size_aabb_m == (4.0, 6.0, 0.0)


@given(frames(), st.lists(st.integers(-1, 4), min_size=20, max_size=20))
def test_growth_changes_no_score_and_no_source(frame, additions):
    """Masks that two clusters share equally aside: they answer for the larger cluster, which growth may change."""
    before, cameras = frame
    added = np.where(np.isin(additions[: len(before)], before), additions[: len(before)], -1)
    grown = (np.array(before, dtype=int) < 0) & (added >= 0)
    after = np.where(grown, added, before).tolist()
    for camera in cameras:
        for mask in range(len(camera.mask_id)):
            shared = np.bincount(np.array(before)[(camera.lifted.instance_id == mask) & (np.array(before) >= 0)])
            assume(np.count_nonzero(shared == shared.max(initial=1)) < 2)
    xyz = np.arange(3.0 * len(before), dtype=np.float32).reshape(-1, 3)
    plain_ids, plain = summarize(xyz, labels(before), cameras, NUSCENES)
    ids, told = summarize(xyz, labels(after), cameras, NUSCENES, grown)
    for cluster in told:
        point = np.flatnonzero((ids.instance_id == cluster.cluster_id) & ~grown)[0]
        former = plain[plain_ids.instance_id[point]]
        for name in ("cameras", "mask_ids", "pred_iou", "stability", "class_share", "score", "confidence"):
            assert getattr(cluster, name) == getattr(former, name) or former.cameras == ()
        assert (cluster.num_points_cut, cluster.class_id) == (former.num_points_cut, former.class_id)
        assert cluster.num_points - cluster.num_points_grown == former.num_points


@settings(max_examples=30)
@given(frames())
def test_shares_are_shares_and_points_are_counted_once(frame):
    final, cameras = frame
    told = clusters(final, *cameras)
    claimed = np.any([e.lifted.instance_id != NO_INSTANCE for e in cameras], axis=0) & (np.array(final) < 0)
    assert sum(c.num_points for c in told) == sum(i >= 0 for i in final)
    for c in told:
        assert 0 <= c.confidence <= 1
        assert 0 <= c.class_share <= 1
        assert c.num_points_cut <= claimed.sum()
        assert len(c.cameras) == len(c.mask_ids)
