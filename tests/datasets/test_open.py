import errno
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pointsam.base.errors import DatasetError, PluginError
from pointsam.base.plugins import names
from pointsam.datasets import open_dataset, read_frame


def test_a_kitti_folder_is_recognised(tiny_kitti):
    assert open_dataset(tiny_kitti.root).name == "kitti"
    assert open_dataset(str(tiny_kitti.root)).frame_ids() == ["000000", "000001"]


def test_a_nuscenes_folder_is_recognised(nuscenes_root):
    assert open_dataset(nuscenes_root).name == "nuscenes"
    assert open_dataset(nuscenes_root, version="v1.0-mini").name == "nuscenes"


@pytest.mark.parametrize("name", names("datasets"))
def test_a_name_decides_over_what_lies_there(tmp_path, name):
    """An empty folder is not a data set of any name: the adapter itself reports it."""
    with pytest.raises(DatasetError) as raised:
        open_dataset(tmp_path, name)
    assert raised.value.code == "DAT002"


def test_a_missing_root_is_DAT001(tmp_path):
    with pytest.raises(DatasetError, match="gone") as raised:
        open_dataset(tmp_path / "gone")
    assert raised.value.code == "DAT001"


def test_a_root_of_another_type_than_named_is_DAT002_and_says_which(tiny_kitti):
    with pytest.raises(DatasetError, match=r"DAT002.*is recognised as kitti, not as nuscenes: .*sample_data\.json"):
        open_dataset(tiny_kitti.root, "nuscenes")


def test_an_unrecognised_root_is_DAT002_and_says_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetError, match=r"training/velodyne.*sample_data\.json") as raised:
        open_dataset(tmp_path)
    assert raised.value.code == "DAT002"


def test_an_unknown_name_is_DAT002_and_lists_the_known(tmp_path):
    with pytest.raises(DatasetError, match="'waymo2'") as raised:
        open_dataset(tmp_path, "waymo2")
    assert raised.value.code == "DAT002"
    assert "kitti, kitti_raw, kitti_tracking, nuscenes" in raised.value.hint


def test_a_version_of_kitti_is_refused(tiny_kitti):
    with pytest.raises(DatasetError, match=r"v1\.0-mini") as raised:
        open_dataset(tiny_kitti.root, version="v1.0-mini")
    assert raised.value.code == "DAT010"


OPTIONED = """
from pointsam.datasets.base import DatasetPlugin
from pointsam.datasets.kitti.objects import Kitti
from pointsam.taxonomy import KITTI

class Yard(Kitti):
    name = "yard"

def opened(root, version, **options):
    made = Yard(root)
    made.options = options
    return made

YARD = DatasetPlugin(KITTI, "anything", lambda root: False, opened, options=("lidar", "columns"))
OLD = DatasetPlugin(KITTI, "anything", lambda root: False, lambda root, version: opened(root, version))
"""


def test_a_plug_in_gets_the_options_that_it_takes_and_that_were_given(install, tiny_kitti):
    install("theirs", [("datasets", "yard", "their_options:YARD")], {"their_options": OPTIONED})
    assert open_dataset(tiny_kitti.root, "yard").options == {}
    assert open_dataset(tiny_kitti.root, "yard", lidar="ROOF").options == {"lidar": "ROOF"}
    both = open_dataset(tiny_kitti.root, "yard", lidar="ROOF", columns=["x", "y", "z", "_", "_"])
    assert both.options == {"lidar": "ROOF", "columns": ("x", "y", "z", "_", "_")}


def test_an_option_that_a_type_does_not_take_is_refused_by_name(install, tiny_kitti):
    install("theirs", [("datasets", "yard", "their_options:OLD")], {"their_options": OPTIONED})
    assert open_dataset(tiny_kitti.root, "yard").options == {}
    with pytest.raises(DatasetError, match=r"DAT010.*yard take no --lidar"):
        open_dataset(tiny_kitti.root, "yard", lidar="ROOF")


@pytest.mark.parametrize("columns", [("x", "y"), ("x", "y", "z", "x"), ("x", "y", "z", "ring", "ring"), ("",)])
def test_columns_that_no_cloud_can_have_are_refused(nuscenes_root, columns):
    with pytest.raises(DatasetError, match=r"DAT010.*columns"):
        open_dataset(nuscenes_root, columns=columns)


def test_opening_kitti_loads_no_other_adapter(tiny_kitti):
    code = (
        "import sys; from pointsam.datasets import open_dataset\n"
        f"open_dataset({str(tiny_kitti.root)!r})\n"
        "assert not {'pointsam.datasets.nuscenes.dataset', 'torch', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_root_that_two_recognise_is_DAT002_and_names_them_and_the_option(tiny_kitti):
    (tiny_kitti.root / "sequences" / "00" / "velodyne").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"DAT002.*: kitti, semantickitti(.|\n)*--dataset"):
        open_dataset(tiny_kitti.root)
    assert open_dataset(tiny_kitti.root, "kitti").name == "kitti"


THEIRS = """
from pointsam.datasets.base import DatasetPlugin
from pointsam.datasets.kitti.objects import Kitti
from pointsam.taxonomy import KITTI

def failing(root):
    raise ValueError("bad eyes")

BLIND = DatasetPlugin(KITTI, "anything", failing, lambda root, version: Kitti(root))
WRONG = DatasetPlugin(KITTI, "anything", lambda root: False, lambda root, version: Kitti(root))
"""


def test_a_broken_plug_in_stops_no_other_and_is_named_where_none_recognises(install, tiny_kitti, tmp_path):
    entries = [("datasets", "broken", "no_such_module:DATASET"), ("datasets", "blind", "their_data:BLIND")]
    install("theirs", entries, {"their_data": THEIRS})
    assert open_dataset(tiny_kitti.root).name == "kitti"
    with pytest.raises(DatasetError, match="DAT002") as raised:
        open_dataset(tmp_path)
    assert "'broken' of theirs 1.0" in raised.value.message
    assert "blind failed: ValueError: bad eyes" in raised.value.message


def test_a_data_set_that_goes_by_another_name_than_its_plug_in_is_refused(install, tiny_kitti):
    install("theirs", [("datasets", "wrong", "their_data:WRONG")], {"their_data": THEIRS})
    with pytest.raises(PluginError, match=r"PLG001.*'wrong' opens a data set with the name 'kitti'"):
        open_dataset(tiny_kitti.root, "wrong")


def failing(error):
    def frame(_frame_id):
        raise error

    return SimpleNamespace(root="s3://bucket/yard", frame=frame)


def test_a_network_error_of_a_plug_in_is_DAT004_of_the_frame():
    with pytest.raises(DatasetError, match=r"DAT004.*s3://bucket/yard, f7: .*reset by peer"):
        read_frame(failing(ConnectionResetError("reset by peer")), "f7")


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.ENOSPC, errno.EMFILE])
def test_an_error_of_the_machine_is_not_that_of_a_frame(number):
    with pytest.raises(OSError, match="machine"):
        read_frame(failing(OSError(number, "machine")), "f7")
