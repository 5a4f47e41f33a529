"""The cells of a sweep."""

import pytest

from pipelines.cli.robustness import _KINDS
from pipelines.robustness.cells import KINDS, cells_of
from pointsam.base.errors import SchemaError
from pointsam.calibration.perturb import Noise

ONE = {
    "published": Noise(translation_m=1.0, axis="each", law="uniform"),
    "rotation": Noise(rotation_deg=1.0),
    "pitch": Noise(rotation_deg=1.0, axis="x"),
    "yaw": Noise(rotation_deg=1.0, axis="y"),
    "roll": Noise(rotation_deg=1.0, axis="z"),
    "translation": Noise(translation_m=1.0),
    "time": Noise(time_ms=1.0),
    "focal": Noise(focal=0.5),
    "center": Noise(center_px=1.0),
    "pose": Noise(ego_m=1.0),
    "heading": Noise(ego_deg=1.0),
    "dropped": Noise(dropped=1),
}
"""The error of each kind at size 1 (focal lengths: 0.5)."""


def test_the_command_knows_every_kind():
    assert tuple(KINDS) == _KINDS == tuple(ONE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_an_error(kind):
    size = 0.5 if kind == "focal" else 1
    clean, cell = cells_of([kind], {kind: [0, size]}, 1)
    assert (clean.name, clean.kind, clean.level, clean.noise) == ("clean", "clean", 0.0, Noise())
    assert (cell.name, cell.kind, cell.level, cell.noise) == (f"{kind}={size}/0", kind, size, ONE[kind])


def test_cells_share_how_errors_are_drawn():
    cells = cells_of(["translation", "roll"], {"roll": [0, 0.5], "translation": [0.2]}, 2, Noise(scope="frame", seed=5))
    assert [cell.name for cell in cells] == [
        "clean",
        "translation=0.2/0",
        "translation=0.2/1",
        "roll=0.5/0",
        "roll=0.5/1",
    ]
    assert {cell.noise.scope for cell in cells} == {"frame"}
    assert [cell.noise.seed for cell in cells] == [5, 5, 6, 5, 6]
    assert cells[-1].noise == Noise(rotation_deg=0.5, axis="z", scope="frame", seed=6)


def test_what_is_not_drawn_is_done_once():
    cells = cells_of(["time", "dropped"], {"time": [20, 40], "dropped": [1]}, 3)
    assert [cell.name for cell in cells] == ["clean", "time=20/0", "time=40/0", *(f"dropped=1/{k}" for k in range(3))]


@pytest.mark.parametrize(
    ("kinds", "levels", "how", "told"),
    [
        ([], {}, {}, "no kind of noise is given"),
        (["rotation"], {"rotations": [1]}, {}, "named rotations"),
        (["rotation"], {"rotation": [0.5], "yaw": [1]}, {}, "--levels of yaw, which is not swept"),
        (["rotation"], {"rotation": [-1]}, {}, "rotation=-1: sizes must be finite"),
        (["time"], {"time": [10, -5]}, {}, "time=10,-5: sizes must be finite"),
        (["time"], {"time": [float("nan")]}, {}, "time=nan: sizes must be finite"),
        (["time"], {"time": [float("inf")]}, {}, "time=inf: sizes must be finite"),
        (["rotation"], {"rotation": [0]}, {}, "rotation=0: sizes must be finite"),
        (["rotation"], {"rotation": [0.5, 0.5]}, {}, "two sizes are equal"),
        (["rotation"], {"rotation": [0.1234567, 0.1234568]}, {}, "two sizes are equal"),
        (["dropped"], {"dropped": [1, 1.5]}, {}, "not a number of cameras"),
        (["focal"], {"focal": [1.5]}, {}, "a fraction below 1"),
        (["translation"], {}, {"rotation_deg": 0.5}, "rotation_deg=0.5: a sweep starts from the true calibration"),
    ],
)
def test_a_grid_that_is_none_is_refused(kinds, levels, how, told):
    with pytest.raises(SchemaError, match="SCH005") as error:
        cells_of(kinds, levels, 3, Noise(**how))
    assert told in str(error.value)
