import numpy as np
import pytest

from pointsam.base.errors import DatasetError
from pointsam.datasets.clouds import RawPoints
from pointsam.datasets.columns import require_columns, row_layout

XYZ = np.array([[1.5, -2.25, 3.0], [100.0, 0.5, -1.0]])


def read(path, columns, values, names=("x", "y", "z")):
    path.write_bytes(values.tobytes())
    return RawPoints(path, tuple(columns.split(","))).read(names)


@pytest.mark.parametrize(
    ("columns", "dtype", "scale"),
    [
        ("x,y,z", "<f4", 1),
        ("x:f8,y,z", "<f8", 1),
        ("x:>f4,y,z", ">f4", 1),
        ("x_mm:i4,y_mm,z_mm", "<i4", 1000),
        ("x_cm:i2,y_cm,z_cm", "<i2", 100),
        ("x_m,y_m,z_m", "<f4", 1),
    ],
)
def test_types_and_units(tmp_path, columns, dtype, scale):
    assert read(tmp_path / "a.bin", columns, (XYZ * scale).astype(dtype)).tolist() == XYZ.tolist()


@pytest.mark.parametrize(
    ("name", "near"), [("intensty", "intensity"), ("Intensity", "intensity"), ("rings", "ring"), ("time", "time_s")]
)
def test_a_misspelt_name_is_refused(name, near):
    with pytest.raises(DatasetError, match=rf"DAT010.*'{name}' is read by nothing, did you mean '{near}'"):
        require_columns(("x", "y", "z", name))
    assert row_layout(("x", "y", "z", name)).names[3] == name  # a plug-in may read it


@pytest.mark.parametrize("name", ["elongation", "reflectance", "velocity", "timestamp", "id"])
def test_values_that_nothing_reads_may_have_names(name):
    require_columns(("x", "y", "z", name))


def test_a_type_holds_for_the_values_after_it(tmp_path):
    rows = np.zeros(2, dtype="<f4,<f4,<f4,u1,u1,<f8")
    rows["f0"], rows["f1"], rows["f2"] = XYZ.T
    rows["f3"], rows["f4"], rows["f5"] = [7, 8], [9, 10], [1e-3, 2e-3]
    layout = "x,y,z,intensity:u1,ring,time_ms:f8"
    values = read(tmp_path / "a.bin", layout, rows, ("z", "ring", "intensity", "time_s"))
    np.testing.assert_allclose(values, [[3, 9, 7, 1e-6], [-1, 10, 8, 2e-6]], rtol=1e-6)
    assert row_layout(tuple(layout.split(","))).names == ("x", "y", "z", "intensity", "ring", "time_s")


def test_values_may_be_passed_over_and_be_in_any_order(tmp_path):
    rows = np.arange(12, dtype="<f4").reshape(2, 6)
    assert read(tmp_path / "a.bin", "_,z,y,_,x,_", rows).tolist() == [[4, 2, 1], [10, 8, 7]]


def test_a_value_beyond_float32_is_no_position(tmp_path):
    values = read(tmp_path / "a.bin", "x:f8,y,z", np.array([[1e300, 0, 0], [1, 2, 3]]))
    assert values.tolist() == [[np.inf, 0, 0], [1, 2, 3]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("x,y", "z must be there once"),
        ("x,y,z,x", "x must be there once"),
        ("x,x_mm,y,z", "x must be there once"),
        ("x,y,z,ring,ring", "ring must be there once"),
        ("x,y,z,", "'' is not"),
        ("x,y,z:f2", "'z:f2' is not"),
        ("x,y,z:4", "'z:4' is not"),
        ("x y z", "'x y z' is not"),
    ],
)
def test_what_is_no_layout_is_DAT010(columns, message):
    with pytest.raises(DatasetError, match=message) as raised:
        row_layout(tuple(columns.split(",")))
    assert raised.value.code == "DAT010"
    assert "--columns x,y,z,intensity,ring" in raised.value.hint
