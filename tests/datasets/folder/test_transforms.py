import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointsam.base.errors import CalibrationError
from pointsam.datasets.folder.transforms import FrameTree, RosHeader, RosQuaternion, RosTransform, RosVector, Transform
from pointsam.geometry.se3 import SE3

TURN = Rotation.from_euler("xyz", [10, -20, 130], degrees=True)
POSE = SE3(TURN.as_matrix(), np.array([1.0, -2.0, 0.5]))
MATRIX = np.block([[POSE.rotation, POSE.translation_m[:, None]], [np.zeros(3), 1]])
X, Y, Z, W = TURN.as_quat().tolist()
SHIFT = tuple(POSE.translation_m.tolist())


def rows(matrix):
    return tuple(tuple(row) for row in np.asarray(matrix).tolist())


FORMS = {
    "rows": Transform("a", "vehicle", rows(MATRIX)),
    "flat": Transform("a", "vehicle", tuple(MATRIX.ravel().tolist())),
    "rows without the last": Transform("a", "vehicle", rows(MATRIX[:3])),
    "flat without the last": Transform("a", "vehicle", tuple(MATRIX[:3].ravel().tolist())),
    "a rotation beside": Transform("a", "vehicle", rows(MATRIX[:3, :3]), SHIFT),
    "a flat rotation beside": Transform("a", "vehicle", tuple(MATRIX[:3, :3].ravel().tolist()), SHIFT),
    "wxyz": Transform("a", "vehicle", translation=SHIFT, quaternion_wxyz=(W, X, Y, Z)),
    "xyzw": Transform("a", "vehicle", translation=SHIFT, quaternion_xyzw=(X, Y, Z, W)),
    "ros": Transform(
        header=RosHeader("vehicle"),
        child_frame_id="a",
        transform=RosTransform(RosVector(*SHIFT), RosQuaternion(X, Y, Z, W)),
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_all_forms_state_the_same_transform(form):
    pose = FrameTree.of([form], "vehicle", "file").pose("a", "lidars.a")
    assert np.allclose(pose.rotation, POSE.rotation)
    assert np.allclose(pose.translation_m, POSE.translation_m)


def test_a_chain_goes_through_transforms_in_both_directions():
    link = SE3(Rotation.from_euler("z", 30, degrees=True).as_matrix(), np.array([0.0, 0.0, 2.0]))
    chain = [Transform.of("a", "b", POSE), Transform.of("vehicle", "c", link), Transform.of("b", "c", POSE)]
    pose = FrameTree.of(chain, "vehicle", "file").pose("a", "lidars.a")
    expected = link.inverse() @ POSE @ POSE
    assert np.allclose(pose.rotation, expected.rotation)
    assert np.allclose(pose.translation_m, expected.translation_m)


def test_two_chains_must_agree():
    twice = [FORMS["rows"], Transform.of("vehicle", "a", POSE.inverse())]
    assert "a" in FrameTree.of(twice, "vehicle", "file").poses
    wrong = [FORMS["rows"], Transform.of("vehicle", "a", POSE)]
    with pytest.raises(CalibrationError, match=r"transforms.1 \(vehicle to a\) contradicts .* would be in two places"):
        FrameTree.of(wrong, "vehicle", "file")


def test_a_frame_without_a_chain_is_named():
    tree = FrameTree.of([FORMS["rows"], Transform.of("left", "rig", POSE)], "vehicle", "file")
    with pytest.raises(CalibrationError, match=r"cameras.left: no chain .* transforms connect it only"):
        tree.pose("left", "cameras.left")
    with pytest.raises(CalibrationError, match="no transform names it, did you mean 'left'"):
        tree.pose("lef", "cameras.lef")


@pytest.mark.parametrize(
    ("transform", "code", "problem"),
    [
        (Transform("a", "vehicle", rows(MATRIX.T)), "CAL003", "written column by column"),
        (Transform("a", "vehicle", rows(MATRIX @ np.diag([1, -1, 1, 1]))), "CAL001", "left-handed"),
        (Transform("a", "vehicle", rows(MATRIX * [[2], [2], [2], [1]])), "CAL001", "not a rotation"),
        (Transform("a", "vehicle", rows(MATRIX[:3, :3])), "CAL003", "3x3, a rotation, and the translation is missing"),
        (Transform("a", "vehicle", rows(MATRIX[:3]), SHIFT), "CAL003", "`translation` states another one"),
        (Transform("a", "vehicle", rows(MATRIX[:3].T)), "CAL003", "not 4x4, 3x4 or 3x3"),
        (Transform("a", "vehicle", ((1.0, 2.0), (1.0,))), "CAL003", "not 4x4"),
        (Transform("a", "vehicle", translation=SHIFT), "CAL003", "must have one rotation"),
        (Transform("a", "vehicle", translation=SHIFT, quaternion_wxyz=(0.0, 0.0, 0.0, 90.0)), "CAL001", "length 90"),
        (Transform("a", None, rows(MATRIX)), "CAL003", "transforms.0.to is missing"),
        (Transform(header=RosHeader("vehicle"), child_frame_id="a"), "CAL003", "transforms.0.transform is missing"),
    ],
)
def test_malformed_transforms_are_named(transform, code, problem):
    with pytest.raises(CalibrationError, match=problem) as caught:
        FrameTree.of([transform], "vehicle", "file")
    assert caught.value.code == code


def test_a_vehicle_that_nothing_leads_to_is_explained():
    tree = FrameTree.of([FORMS["rows"]], "base_link", "file")
    with pytest.raises(CalibrationError, match="to 'base_link'") as caught:
        tree.pose("a", "lidars.a")
    assert caught.value.hint.startswith("add a transform to 'base_link', or let `vehicle` name the frame that")
