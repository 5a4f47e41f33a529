"""A sweep without points, or without points in range, has no predictions and does not affect other sweeps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from dataclasses import replace  # noqa: E402

from helpers.recipes import detector  # noqa: E402
from helpers.training import make_world  # noqa: E402

from pointsam.detect.data.sample import PointsConfig  # noqa: E402
from pointsam.detect.detector import Batch, Detector  # noqa: E402
from pointsam.detect.infer import InferConfig, detect_frames  # noqa: E402
from pointsam.taxonomy import NUSCENES  # noqa: E402

FAR = torch.tensor([[900.0, 0, 0, 0.5, 0], [0, 0, 90.0, 0.5, 0]])


@pytest.fixture(params=["center-voxel", "center-pillar", "second"])
def network(request):
    torch.manual_seed(0)
    return Detector(detector(request.param), NUSCENES).eval()


def predict(network, *clouds):
    ids = tuple(f"frame {k}" for k in range(len(clouds)))
    with torch.no_grad():
        return network(Batch(ids, clouds, tuple(len(points) for points in clouds)))


@pytest.mark.parametrize("points", [FAR[:0], FAR], ids=["none", "out of range"])
def test_without_points_there_are_no_boxes(network, points):
    (empty,) = predict(network, points)
    assert len(empty) == 0
    assert empty.boxes.shape == (0, 7)


def test_a_sweep_beside_an_empty_one_has_its_own_boxes(network):
    head = network.head
    head.config = replace(head.config, score_threshold=0.0)
    points = torch.rand(400, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([20.0, 20, 2, 1, 0])
    (alone,) = predict(network, points)
    for clouds, place in (((points, FAR[:0]), 0), ((FAR[:0], points), 1)):
        beside = predict(network, *clouds)[place]
        assert torch.allclose(beside.score, alone.score, atol=1e-6)
        assert torch.allclose(beside.boxes, alone.boxes, atol=1e-4)
    assert len(alone) > 0


def test_a_frame_with_nothing_in_range_is_a_frame_without_boxes(tmp_path):
    world = make_world(tmp_path / "root", scenes=("scene-0061",), samples=2)
    first, second = world.frame_ids()
    np.full((3, 5), 900.0, dtype="<f4").tofile(world.frame(second).sweep.source.path)
    network = Detector(detector("center-voxel"), world.taxonomy)
    empty = list(detect_frames(network, world, [first, second], InferConfig(PointsConfig())))[1]
    assert (empty.frame_id, len(empty.score)) == (second, 0)
