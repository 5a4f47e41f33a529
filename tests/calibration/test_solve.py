"""Corrections and their covariances, on billboards whose masks are off by known amounts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointsam.calibration import solve as module
from pointsam.calibration.correction import as_SE3
from pointsam.calibration.estimate import rig_result
from pointsam.calibration.silhouettes import CameraObservations, silhouette_points, silhouettes
from pointsam.calibration.solve import PRIOR_ROTATION_RAD, PRIOR_TRANSLATION_M, solve
from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep

CAMERA = Camera(np.array([[500.0, 0, 400], [0, 500, 225], [0, 0, 1]]), 800, 450)
AHEAD = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=float)  # columns: the camera's x, y, z in the vehicle
TRUE = CameraView("cam", ImageFile(Path()), 0, CAMERA, SE3(AHEAD, [0.5, 0.0, 1.5]), SE3.identity())
NARROW_PX = 3.0


def billboards(rng, narrow_px=0.0, jitter_px=0.0):
    """An image of six upright rectangles at 6 to 15 m before a wall, and masks narrower than they are.

    Args:
        rng: random numbers.
        narrow_px: distance by which the edges of all masks lie inside those of the rectangles.
        jitter_px: standard deviation of a further distance of each edge.
    """
    instance = np.full((450, 800), -1, dtype=np.int32)
    points, owners = [], []
    u, v = np.meshgrid(np.arange(4.0, 800, 6), np.arange(4.0, 450, 6))
    wall = np.column_stack([u.ravel(), v.ravel()]) + rng.uniform(-3, 3, (u.size, 2))
    free = np.ones(len(wall), dtype=bool)
    for k in range(6):
        depth = rng.uniform(6, 15)
        left, top = np.array([250.0 * (k % 3) + 60, 200.0 * (k // 3) + 60]) + rng.uniform(-20, 20, 2)
        right, bottom = np.array([left, top]) + np.minimum(500 * rng.uniform(1.5, 2.5, 2) / depth, [140, 110])
        on = (wall > [left, top]).all(axis=1) & (wall < [right, bottom]).all(axis=1)
        free &= ~on
        points.append(np.column_stack([(wall[on] - [400, 225]) / 500, np.ones(on.sum())]) * depth)
        owners.append(np.full(on.sum(), k))
        a, b, c, d = np.array([left, top, -right, -bottom]) + narrow_px + rng.normal(0, jitter_px, 4)
        instance[int(np.ceil(b)) : int(-d) + 1, int(np.ceil(a)) : int(-c) + 1] = k
    points.append(np.column_stack([(wall[free] - [400, 225]) / 500, np.ones(free.sum())]) * 40.0)
    owners.append(np.full(free.sum(), 6))
    xyz, owner = np.concatenate(points), np.concatenate(owners)
    ground, parallax = np.zeros(len(xyz), dtype=bool), np.zeros((len(xyz), 2))
    where = TRUE.ego_SE3_cam.apply(xyz)
    return CameraObservations("cam", where, np.zeros((4, 4)), owner, ground, parallax, silhouettes(instance))


def wrong_by(vector):
    """The camera with a mounting that `vector` corrects."""
    return replace(TRUE, ego_SE3_cam=TRUE.ego_SE3_cam @ as_SE3(vector).inverse())


def left_over(view, vector):
    """(6,) error of a corrected mounting, radians and metres."""
    off = TRUE.ego_SE3_cam.inverse() @ view.ego_SE3_cam @ as_SE3(vector)
    return np.array([*Rotation.from_matrix(off.rotation).as_rotvec(), *off.translation_m])


@pytest.fixture(scope="module")
def narrow():
    """Twelve images whose masks are all narrower than the objects."""
    rng = np.random.default_rng(0)
    return [billboards(rng, NARROW_PX) for _ in range(12)]


def test_narrow_masks_shift_no_camera_along_its_axis(narrow, monkeypatch):
    found = solve(narrow, {"cam": TRUE}, False, 12)
    assert found.edge_px["cam"] == pytest.approx(NARROW_PX, abs=0.7)
    assert abs(found.correction.cameras["cam"][5]) < 0.02
    monkeypatch.setattr(module, "PRIOR_EDGE_PX", 1e-6)
    assert solve(narrow, {"cam": TRUE}, False, 12).correction.cameras["cam"][5] < -0.03  # without the edge


def test_an_error_is_found_through_narrow_masks(narrow):
    view = wrong_by(np.array([0.01, -0.015, 0.02, 0.06, -0.05, 0.08]))
    found = solve(narrow, {"cam": view}, False, 12)
    left = np.abs(left_over(view, found.correction.cameras["cam"]))
    assert left[:3].max() < np.deg2rad(0.25)
    assert left[3:].max() < 0.05


def test_the_gradient_is_that_of_the_cost_and_points_without_cost_change_nothing(narrow):
    batch = module._gathered(narrow, TRUE, None, 0.0, 0.7)
    values, width_rad = np.array([0.004, -0.006, 0.003, 0.02, 0.03, -0.05, 0.7]), 0.003

    def cost(at):
        sign = np.where(batch.inside, 1.0, -1.0)
        wrong = np.maximum(-sign * (batch.distance(at[:6], 0.0) + at[6]), 0)
        return np.sum(batch.weight * np.log1p((wrong / (500 * width_rad)) ** 2) / 2)

    slope, bend, jacobian = module._derivatives(batch, values, 0.0, width_rad)
    assert 0 < len(slope) < len(batch.inside) / 2
    assert (bend > 0).all()
    for k, probe in enumerate([1e-4] * 3 + [1e-3] * 3 + [1e-2]):
        off = probe * np.eye(7)[k]
        numeric = (cost(values + off) - cost(values - off)) / (2 * probe)
        assert slope @ jacobian[:, k] == pytest.approx(
            numeric, rel=0.05, abs=0.02 * np.abs(slope) @ np.abs(jacobian[:, k])
        )
    assert not jacobian[:, 7].any()  # the vehicle stands


def test_an_object_with_many_points_counts_like_one_with_few(narrow):
    image = narrow[0]
    twice = np.repeat(np.arange(len(image.component)), np.where(image.component == 0, 5, 1))
    many = replace(
        image,
        xyz_ego_m=image.xyz_ego_m[twice],
        component=image.component[twice],
        ground=image.ground[twice],
        parallax=image.parallax[twice],
    )
    for one in (image, many):
        uv, depth = CAMERA.project(TRUE.ego_SE3_cam.inverse().apply(one.xyz_ego_m))
        rows = silhouette_points(one, uv, depth, 0.7)
        assert [row.weight[row.inside].sum() for row in rows] == pytest.approx([3.0] * 6)
        assert [row.weight[~row.inside].sum() for row in rows] == pytest.approx([3.0] * 6)


def test_a_component_that_lies_partly_in_a_mask_is_neither_object_nor_background(narrow):
    image = narrow[0]
    uv, depth = CAMERA.project(TRUE.ego_SE3_cam.inverse().apply(image.xyz_ego_m))
    before = silhouette_points(image, uv, depth, 0.7)[0]
    inside, outside = before.point[before.inside][:12], before.point[~before.inside][:20]
    component = image.component.copy()
    component[np.concatenate([inside, outside])] = component.max() + 1
    after = silhouette_points(replace(image, component=component), uv, depth, 0.7)[0]
    assert set(after.point) == set(before.point) - set(inside) - set(outside)


def test_what_objects_do_not_show_stays_as_uncertain_as_the_prior(narrow):
    """An object near the middle of the image shows neither a roll nor a shift along the optical axis."""
    middle = [replace(image, silhouettes=image.silhouettes[4:5]) for image in narrow]
    prior = np.array([PRIOR_ROTATION_RAD] * 3 + [PRIOR_TRANSLATION_M] * 3)
    some, all_of = (solve(images, {"cam": TRUE}, False, 12).covariance["cam"] for images in (middle, narrow))
    some, all_of = np.sqrt(np.diag(some)) / prior, np.sqrt(np.diag(all_of)) / prior
    assert some[[2, 5]].min() > 0.7
    assert all_of[[2, 5]].max() < 0.5
    assert (all_of < some).all()
    assert some.max() < 1


def test_uncertainties_hold():
    """Masks with errors of their own, and known errors of the mounting: 30 numbers with their standard deviations."""
    rng = np.random.default_rng(1)
    sweep = Sweep(RawPoints(Path(), XYZ), 0, SE3.identity(), SE3.identity())
    ratios = []
    for _ in range(5):
        images = [billboards(rng, rng.uniform(-1, 3), 2.0) for _ in range(6)]
        vector = rng.choice([-1, 1], 6) * np.array([np.deg2rad(0.6)] * 3 + [0.06] * 3)
        view = wrong_by(vector)
        frames = [Frame("f", "s", (sweep,), {}, (view,))] * len(images)
        result = rig_result(frames, [[image] for image in images]).cameras["cam"]
        assert result.status == "mended"
        left = left_over(view, np.array([*np.deg2rad(result.rotation_deg), *result.translation_m]))
        stated = np.array([*np.deg2rad(result.rotation_doubt_deg), *result.translation_doubt_m])
        ratios.append(np.abs(left) / stated)
    assert np.mean(np.array(ratios) < 1) > 0.68
    assert np.mean(np.array(ratios) < 2) > 0.95
    assert np.sqrt(np.mean(np.square(ratios))) > 0.3  # and they are no wider than they have to be
