"""Names from data as file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsam.base.errors import DatasetError
from pointsam.base.paths import data_file, path_under


@pytest.mark.parametrize("name", ["a", "a/b.label", "n015-2018__CAM.jpg", "...", "a..b", "ä/漢字", "x" * 250])
def test_a_plain_name_lies_below_the_folder(tmp_path, name):
    path = path_under(tmp_path, name, "")
    assert path == tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/x", "absolute"),
        ("//x", "absolute"),
        ("..", "'..' as a part"),
        ("../x", "'..' as a part"),
        ("a/../../x", "'..' as a part"),
        ("a/./x", "'.' as a part"),
        ("a//x", "'' as a part"),
        ("a/", "'' as a part"),
        ("", "'' as a part"),
        ("C:x", "drive C:"),
        ("a/c:/x", "drive c:"),
        ("..\\x", "backslash"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\x1b[2Jb", "control character"),
        ("a\ud800b", "lone surrogate"),
        ("x" * 251, "longer than 250 bytes"),
        ("ä" * 126, "longer than 250 bytes"),
    ],
)
def test_another_name_is_refused_with_its_reason(tmp_path, name, why):
    with pytest.raises(DatasetError, match=why) as caught:
        path_under(tmp_path, name, "rename it")
    assert (caught.value.code, caught.value.hint) == ("DAT011", "rename it")
    assert str(tmp_path) in caught.value.message
    assert not {"\0", "\x1b"} & set(str(caught.value))


@given(st.text(st.sampled_from("./\\:aC\0\n")))
def test_no_name_leaves_the_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        path = path_under(folder, name, "")
    except DatasetError:
        return
    assert path.resolve().is_relative_to(folder.resolve())
    assert path.resolve() != folder.resolve()


@pytest.mark.parametrize("name", ["samples/CAM/a.jpg", "./samples//CAM/a.jpg", "samples\\CAM\\a.jpg"])
def test_a_file_of_the_data_is_below_the_root_with_either_slash(tmp_path, name):
    assert data_file(tmp_path, name, "a table names") == tmp_path / "samples" / "CAM" / "a.jpg"


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "..\\x", "C:\\x", "\\\\host\\x", "a\0b"])
def test_a_file_of_the_data_never_leaves_the_root(tmp_path, name):
    with pytest.raises(DatasetError, match="a table names") as raised:
        data_file(tmp_path, name, "a table names")
    assert raised.value.code == "DAT011"


def test_links_in_the_root_are_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.jpg").write_text("x")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "samples").symlink_to(tmp_path / "disk")
    assert data_file(tmp_path / "root", "samples/a.jpg", "a table names").read_text() == "x"
