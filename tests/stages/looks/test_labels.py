"""Looks at an image, and the labels of both rounds: the first round stays, second looks label free points."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.segmenters import Scissors
from helpers.track_worlds import CAR, Thing, world

from pointsam.base.runtime import Stopwatch
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.masks.requests import Embed
from pointsam.semantics.riders import RiderConfig
from pointsam.stages.looks.config import both
from pointsam.stages.looks.image import image_looks, that_gave_a_cluster
from pointsam.stages.looks.labels import looked_labels
from pointsam.stages.looks.plan import plan_looks
from pointsam.stages.recipes import default
from pointsam.stages.tracks.config import all_rules
from pointsam.stages.tracks.scene import scene_frame
from pointsam.stages.tracks.tracks import track_scene
from pointsam.taxonomy import NUSCENES
from pointsam.types import CameraView, Detections, ImageMasks, Masks

HEIGHT, WIDTH = 240, 640
AHEAD = SE3(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.zeros(3))
NONE = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32), ())
MISSED, SEEN, HIDDEN = 0, 1, 2


class Finder:
    """Finds cars where an image is bright."""

    name, weights_sha256, riders_apart = "finder", "", True

    def __init__(self, score=0.8):
        self.score, self.asked = score, 0

    def detect(self, image, _frame, _view):
        self.asked += 1
        v, u = np.nonzero(image[..., 0] > 127)
        if len(u) == 0:
            return NONE
        box = np.array([[u.min(), v.min(), u.max() + 1, v.max() + 1]], dtype=np.float32)
        return Detections(box, np.array([CAR], np.uint8), np.array([self.score], np.float32))


def shot(drive, index):
    """A frame with a camera ahead, its points, labels, image with the missed thing in white, and things of points."""
    frame, points, found, which = drive[index]
    camera = Camera(np.array([[400.0, 0, WIDTH / 2], [0, 400.0, HEIGHT / 2], [0, 0, 1]]), WIDTH, HEIGHT)
    view = CameraView("CAM", None, frame.sweep.t_us, camera, AHEAD, frame.sweep.world_SE3_ego)
    frame = replace(frame, cameras=(view,))
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    seen = project(points.xyz_lidar_m[which == MISSED], frame, view)
    if seen.valid.any():
        uv = seen.uv_px[seen.valid].astype(int)
        image[uv[:, 1].min() : uv[:, 1].max() + 1, uv[:, 0].min() : uv[:, 0].max() + 1] = 255
    return frame, points, found, image, which


def looked(drive, index, config, semantics, tracks=None, known=NONE):
    frame, points, found, image, which = shot(drive, index)
    plan = plan_looks(frame, points, found, tracks, NUSCENES, config, all_rules(), semantics is not None)
    if not plan.images:
        return found, None, plan, which
    view = frame.cameras[0]
    steps = image_looks(image, frame, view, plan, known, semantics, NUSCENES, config, RiderConfig(), Stopwatch())
    row, segmenter = None, Scissors()
    try:
        request = next(steps)
        while True:
            answer = (
                segmenter.embed(request.image_rgb)
                if isinstance(request, Embed)
                else segmenter.from_boxes(request.embedding, request.box_xyxy_px)
            )
            request = steps.send(answer)
    except StopIteration as end:
        row = end.value
    if row is None:
        return found, None, plan, which
    args = (frame, points, found, {"CAM": row}, {"CAM": 7}, NUSCENES, "score", default().clusters)
    return looked_labels(*args, Stopwatch()), row, plan, which


def a_drive(**options):
    return world(
        Thing((14.0, 1.0), missed=(3,)), Thing((20.0, -5.0)), Thing((30.0, 6.0)), ego_mps=1.0, count=8, **options
    )


def off(part):
    config = both()
    return replace(config, **{part: replace(getattr(config, part), enabled=False)})


def test_a_component_that_the_detector_knows_becomes_a_cluster():
    drive, finder = a_drive(), Finder()
    made, row, plan, which = looked(drive, 3, off("tracks"), finder)
    found = drive[3][2]
    assert finder.asked == plan.num_crops <= off("tracks").most_crops
    assert len(made.clusters) == len(found.clusters) + 1
    new = np.unique(made.labels.instance_id[which == MISSED])
    assert len(new) == 1
    assert new[0] >= 0
    cluster = made.clusters[new[0]]
    its = made.labels.instance_id == new[0]
    assert its[which == MISSED].all()
    assert np.count_nonzero(its & (which != MISSED)) < 0.05 * np.count_nonzero(its)  # some ground before it
    assert (cluster.class_name, cluster.cameras, cluster.mask_ids) == ("car", ("CAM",), (7,))
    assert 0 < cluster.probability < 1
    np.testing.assert_allclose(row.detections.score, [0.8])


def test_clusters_of_the_first_round_stay_as_they_are():
    drive = a_drive()
    made, _, _, which = looked(drive, 3, off("tracks"), Finder())
    found = drive[3][2]
    for thing in (SEEN, HIDDEN):
        (before,), (after,) = (np.unique(one.labels.instance_id[which == thing]) for one in (found, made))
        assert np.array_equal(found.labels.instance_id == before, made.labels.instance_id == after)
        assert replace(made.clusters[after], cluster_id=int(before)) == found.clusters[before]


@pytest.mark.parametrize("finder", [Finder(score=0.1), None])
def test_without_an_answer_the_labels_stay(finder):
    drive = a_drive()
    made, row, plan, _ = looked(drive, 3, off("tracks"), finder)
    assert row is None
    assert made is drive[3][2]
    assert (plan.num_crops == 0) == (finder is None)


def test_the_budget_limits_the_crops():
    for most in (0, 1, 5):
        finder = Finder()
        config = replace(off("tracks"), most_crops=most)
        _, _, plan, _ = looked(a_drive(), 3, config, finder)
        assert plan.num_crops == finder.asked == most


def test_a_duplicate_of_a_known_detection_is_no_cluster():
    drive = a_drive()
    _, row, _, _ = looked(drive, 3, off("tracks"), Finder())
    known = Detections(row.detections.box_xyxy_px + 1, row.detections.class_id, row.detections.score)
    assert looked(drive, 3, off("tracks"), Finder(), known=known)[1] is None


def test_tracks_prompt_the_segmenter_without_a_detector():
    drive = a_drive()
    tracks = track_scene([scene_frame(*one[:3]) for one in drive], NUSCENES, all_rules())
    made, row, plan, which = looked(drive, 3, both(), None, tracks)
    assert [len(image.prompts) for image in plan.images.values()] == [1]
    assert len(row.masks) == 1
    (new,) = np.unique(made.labels.instance_id[which == MISSED])
    assert made.clusters[new].class_name == "car"
    # The other frames miss nothing that tracks know.
    assert looked(drive, 5, both(), None, tracks)[1] is None


def test_a_component_that_a_track_expects_is_not_shown_too():
    drive, finder = a_drive(), Finder()
    tracks = track_scene([scene_frame(*one[:3]) for one in drive], NUSCENES, all_rules())
    _, row, plan, which = looked(drive, 3, both(), finder, tracks)
    assert len(row.masks) == 1
    members = [crop.members for image in plan.images.values() for crop in image.crops]
    assert not any((which[its] == MISSED).any() for its in members)


def test_known_detections_are_those_that_gave_a_cluster():
    boxes = np.array([[0, 0, 9, 9], [10, 0, 19, 9], [20, 0, 29, 9]], dtype=np.float32)
    found = Detections(boxes, np.zeros(3, np.uint8), np.ones(3, np.float32), (b"0",) * 3)
    sure = np.ones(4, dtype=np.float32)
    masks = Masks(10, 30, (b"0",) * 4, sure, sure, np.array([0, 1, 2, -1], dtype=np.int32))
    first = ImageMasks("f", "CAM", "ok", "", "", masks, found, np.zeros((0, 2), np.int32))
    labels = a_drive()[0][2]
    clusters = tuple(
        replace(one, cameras=cameras, mask_ids=ids)
        for one, cameras, ids in zip(
            labels.clusters, (("CAM", "OTHER"), ("CAM",), ("OTHER",)), ((2, 0), (3,), (1,)), strict=True
        )
    )
    known = that_gave_a_cluster(first, replace(labels, clusters=clusters))
    np.testing.assert_array_equal(known.box_xyxy_px, boxes[[2]])
