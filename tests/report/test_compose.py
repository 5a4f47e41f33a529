import numpy as np
import pytest
from PIL import ImageDraw

from pointsam.datasets import open_dataset
from pointsam.datasets.io import read_image, read_points
from pointsam.geometry.projection import project
from pointsam.report.compose import BEV_PX, WIDTH_PX, draw_frame
from pointsam.report.style import INK, class_rgb, cluster_rgb
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import Boxes, PointLabels

SURROUND = ["CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT"]


def shades(names):
    """An image a camera, each of its own grey."""
    return {name: np.full((450, 800, 3), 40 + 20 * i, np.uint8) for i, name in enumerate(names)}


def draw(frame, images, boxes=None):
    return np.array(draw_frame(frame, images, np.zeros((5, 3)), PointLabels.empty(5), {}, boxes, NUSCENES))


def test_six_surround_cameras_stand_as_they_look(make_frame):
    canvas = draw(make_frame(SURROUND), shades(SURROUND))
    assert canvas.shape == (2 * 450 + BEV_PX, WIDTH_PX, 3)
    seen = [[SURROUND[(int(canvas[v, u, 0]) - 40) // 20] for u in (700, 1500, 2300)] for v in (400, 850)]
    assert seen == [
        ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"],
        ["CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"],
    ]


def test_one_camera_takes_the_whole_width(make_frame):
    canvas = draw(make_frame(["image_2"]), shades(["image_2"]))
    assert canvas.shape == (WIDTH_PX * 450 // 800 + BEV_PX, WIDTH_PX, 3)


def test_other_cameras_stand_in_a_grid_in_the_frames_order(make_frame):
    names = [f"cam{i}" for i in range(5)]
    canvas = draw(make_frame(names), shades(names))
    assert [int(canvas[850, u, 0]) for u in (700, 1500)] == [40 + 20 * 3, 40 + 20 * 4]


def test_a_camera_without_an_image_is_left_out(make_frame):
    canvas = draw(make_frame(SURROUND), shades(["CAM_BACK"]))
    assert canvas.shape == (WIDTH_PX * 450 // 800 + BEV_PX, WIDTH_PX, 3)


def test_without_any_image_the_view_from_above_remains(make_frame, one_box):
    assert draw(make_frame(SURROUND), {}, one_box).shape == (BEV_PX, WIDTH_PX, 3)


def test_more_clusters_than_the_list_has_room_for(make_frame):
    many = np.arange(300)
    labels = PointLabels(many.astype(np.int32), (many % 10).astype(np.uint8))
    picture = draw_frame(make_frame([]), {}, np.random.default_rng(0).normal(size=(300, 3)), labels, {}, None, NUSCENES)
    assert picture.size == (WIDTH_PX, BEV_PX)


@pytest.fixture
def written(monkeypatch):
    """The texts of the pictures that are drawn."""
    texts, text = [], ImageDraw.ImageDraw.text

    def watched(self, xy, words, *rest, **more):
        texts.append(words)
        text(self, xy, words, *rest, **more)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", watched)
    return texts


def boxes_of(*class_id):
    count = len(class_id)
    one = np.tile(np.eye(3), (count, 1, 1))
    return Boxes(np.zeros((count, 3)), np.ones((count, 3)), one, np.array(class_id, np.uint8), tuple("abc"[:count]))


@pytest.mark.parametrize(
    ("clusters", "classes", "summary"),
    [
        (1, (0, BACKGROUND), "1 cluster on 1 of 5 points, 1 ground-truth box"),
        (2, (0, 1, BACKGROUND), "2 clusters on 2 of 5 points, 2 ground-truth boxes"),
        (0, (BACKGROUND,), "0 clusters on 0 of 5 points, 0 ground-truth boxes"),
    ],
)
def test_void_boxes_are_not_counted(clusters, classes, summary, make_frame, written):
    ids = np.where(np.arange(5) < clusters, np.arange(5), -1)
    labels = PointLabels(ids.astype(np.int32), np.where(ids < 0, BACKGROUND, 0).astype(np.uint8))
    draw_frame(make_frame([]), {}, np.zeros((5, 3)), labels, {}, boxes_of(*classes), NUSCENES)
    assert summary in written


def test_without_labels_there_is_no_list_of_clusters(make_frame, written):
    draw_frame(make_frame([]), {}, np.zeros((5, 3)), None, {}, boxes_of(0, 0, BACKGROUND), NUSCENES, edges=True)
    assert "5 points, 2 ground-truth boxes" in written
    assert any("no labels were given" in text for text in written)
    assert [text for text in written if text in ("class", "clusters", "points", "boxes", "cluster")] == [
        "class",
        "boxes",
    ]
    assert written[written.index("boxes") + 1 :][:2] == ["car", "2"]
    assert any(text.startswith("Not in this frame: truck, ") for text in written)


def test_boxes_have_the_colour_of_their_class_unless_detections_have(make_frame):
    true = boxes_of(3)
    for detected, colour in ((None, class_rgb(3)), (boxes_of(), INK)):
        options = (make_frame([]), {}, np.zeros((5, 3)), None, {}, true, NUSCENES, None, detected)
        above = np.array(draw_frame(*options, edges=True))[:, :BEV_PX]
        colours = {tuple(rgb) for rgb in above.reshape(-1, 3)}
        assert (colour in colours, (class_rgb(3) in colours)) == (True, detected is None)


@pytest.mark.parametrize("has_masks", [True, False])
def test_the_legend_names_masks_where_there_are_some(has_masks, make_frame, written):
    whole = np.ones((450, 800), dtype=bool)
    masks = {"CAM_BACK": [(whole, 0)] if has_masks else []}
    labels = PointLabels.empty(5)
    draw_frame(make_frame(["CAM_BACK"]), shades(["CAM_BACK"]), np.zeros((5, 3)), labels, masks, None, NUSCENES)
    assert any("masks" in text for text in written) == has_masks
    assert any("rings every 10 m" in text for text in written)


@pytest.mark.parametrize("count", [0, 2])
def test_the_legend_and_the_list_name_grown_points_where_there_are_some(count, make_frame, make_labels, written):
    labels = make_labels((0, 0), (0, 0), (0, 0), (1, 1), (-1, BACKGROUND))
    grown = np.arange(5) < count
    draw_frame(make_frame([]), {}, np.zeros((5, 3)), labels, {}, None, NUSCENES, grown)
    assert ("Pale points: 2 that no mask gave; growth added them." in written) == (count > 0)
    assert ("grown" in written) == (count > 0)
    if count:
        rows = [written[k : k + 4] for k, text in enumerate(written) if text in ("car 0", "truck 1")]
        assert [(row[1], row[3]) for row in rows[-2:]] == [("3", "2"), ("1", "0")]


@pytest.fixture
def real(nuscenes_root):
    dataset = open_dataset(nuscenes_root)
    frame_id = dataset.frame_ids()[0]
    return dataset, dataset.frame(frame_id), dataset.point_truth(frame_id).labels, dataset.boxes(frame_id)


def test_points_of_the_real_truck_have_its_colour_in_the_front_camera(real):
    dataset, frame, labels, boxes = real
    xyz = read_points(frame.sweep)
    images = {view.name: read_image(view.source) for view in frame.cameras}
    canvas = np.array(draw_frame(frame, images, xyz, labels, {}, boxes, dataset.taxonomy))

    truck = int(np.bincount(labels.instance_id[labels.class_id == NUSCENES.class_id("truck")]).argmax())
    front = next(view for view in frame.cameras if view.name == "CAM_FRONT")
    projection = project(xyz, frame, front)
    member = projection.valid & (labels.instance_id == truck)
    u, v = np.floor((projection.uv_px[member] + 0.5) / 2).astype(int).T
    coloured = (canvas[v, u + 800] == cluster_rgb(truck)).all(axis=1)
    assert member.sum() > 300
    assert coloured.mean() > 0.95  # the rest lies behind nearer points of others
