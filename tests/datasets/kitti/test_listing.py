import unicodedata

import pytest

from pointsam.base.errors import DatasetError, MissingFolderError
from pointsam.datasets.kitti.listing import Listing, frame_number, frame_parts, require_names, split_names
from pointsam.datasets.kitti.suffixes import IMAGES, SWEEPS


@pytest.fixture
def listing(tmp_path):
    def of(*names, suffixes=IMAGES):
        for name in names:
            (tmp_path / name).write_bytes(b"x")
        return Listing(tmp_path, suffixes)

    return of


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".PNG", ".Jpg", ".JPEG"])
def test_suffixes_are_known_in_any_letter_case(listing, suffix):
    assert listing(f"000000{suffix}").image("000000").file_name == f"000000{suffix}"


def test_of_several_images_of_a_frame_png_wins_then_jpg(listing):
    assert listing("a.jpeg", "a.jpg").image("a").file_name == "a.jpg"
    assert listing("a.PNG").image("a").file_name == "a.PNG"
    assert listing("a.png").image("a").file_name in ("a.PNG", "a.png")  # one file where case does not matter
    assert listing("a.png").image("a").file_name == listing("a.png").image("a").file_name


def test_a_missing_image_says_what_was_looked_for_and_what_is_there(listing):
    found = listing("000000.bmp", "000001.png")
    with pytest.raises(DatasetError, match=r"DAT004.*000000\.png: .*\.png, \.jpg, \.jpeg in any .*found 000000\.bmp"):
        found.image("000000")
    with pytest.raises(DatasetError, match=r"no file of this name \(the folder holds 1 \.bmp files\)"):
        found.image("000002")


def test_a_folder_without_images_is_refused_as_a_whole(listing, tmp_path):
    with pytest.raises(MissingFolderError, match=r"DAT001.*missing or empty") as raised:
        Listing(tmp_path / "gone", IMAGES).require("images")
    assert not raised.value.of_frame
    with pytest.raises(MissingFolderError, match=r"holds no images \(the folder holds 2 \.bmp files\)"):
        listing("a.bmp", "b.bmp").require("images")
    listing("a.png").require("images")


@pytest.mark.parametrize("hidden", ["._000000.bin", ".DS_Store", ".hidden.bin", "Thumbs.db", "desktop.ini", ".bin"])
def test_files_of_file_managers_are_no_frames(listing, hidden):
    assert listing("000000.bin", hidden, suffixes=SWEEPS).stems == ("000000",)


def test_numbers_are_in_order_of_their_value_and_names_follow(listing):
    names = ("10.bin", "9.bin", "010.bin", "vue 2.bin", "a.b_c.bin", "x" * 200 + ".bin")
    assert listing(*names, suffixes=SWEEPS).stems == ("9", "010", "10", "a.b_c", "vue 2", "x" * 200)


def test_numbers_in_names_are_in_order_of_their_value(listing):
    names = ("scan_10.bin", "scan_9_b.bin", "scan_2.bin", "scan.bin", "scan_02.bin", "v1.10.bin", "v1.9.bin", "3.bin")
    ordered = ("3", "scan", "scan_02", "scan_2", "scan_9_b", "scan_10", "v1.9", "v1.10")
    assert listing(*names, suffixes=SWEEPS).stems == ordered


def test_stems_around_and_before_a_stem_are_in_natural_order(listing):
    files = listing("10.png", "9.png", "8.png")
    assert [files.around(stem) for stem in ("8", "9", "10")] == [
        {-1: "8", 1: "9"},
        {-1: "8", 1: "10"},
        {-1: "9", 1: "10"},
    ]
    assert (files.before("10", 5), files.before("10", 1), files.before("8", 2)) == (["9", "8"], ["9"], [])


def test_names_are_compared_in_composed_form(listing):
    decomposed = unicodedata.normalize("NFD", "café")
    found = listing(f"{decomposed}.png")
    assert found.stems == ("café",)
    assert found.image("café").path.is_file()


def test_names_that_cannot_be_ids_are_named(listing):
    require_names(listing("a b.bin", "ü.bin", suffixes=SWEEPS))
    with pytest.raises(DatasetError, match=r"DAT011.*control character"):
        require_names(listing("a\nb.bin", suffixes=SWEEPS))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1\n0\n", ["0", "1"]),
        ("\ufeff0\r\n1\r\n\r\n", ["0", "1"]),
        ("# frames\n0  # first\n\n  1\t\n0\n", ["0", "1"]),
        ("0.txt\n1.PNG\n", ["0", "1"]),
        ("0 1\n", ["0", "1"]),
        ("a b\na#c\n", ["a b", "a#c"]),
        ("v.1\n", ["v.1"]),
        ("7\n../../secret\n", ["7", "../../secret"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lists_of_frames_are_read_as_people_write_them(tmp_path, text, names, encoding):
    path = tmp_path / "val.txt"
    path.write_bytes(text.removeprefix("\ufeff").encode(encoding) if encoding == "utf-16" else text.encode())
    assert split_names(path, {"0", "1", "a b", "a#c", "v.1"}) == names


def test_scenes_and_stems_may_hold_underscores():
    assert list(frame_parts("a_b_c", ["a", "a_b", "b"])) == [("a", "b_c"), ("a_b", "c")]


@pytest.mark.parametrize("stem", ["", "x", "²", "-1", "1.5", "1234567890"])
def test_a_name_that_is_no_number_of_a_frame_is_DAT011(tmp_path, stem):
    assert frame_number(tmp_path, "000123456789") == 123456789
    with pytest.raises(DatasetError, match="DAT011"):
        frame_number(tmp_path, stem)
