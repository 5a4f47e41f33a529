import pytest

from pointsam.base.errors import DatasetError
from pointsam.semantics.places import ImageName, parts_of, require_unshared, stem_path


def image(frame_id, scene, path, camera="image_2", of_run=True):
    return ImageName(frame_id, scene, camera, parts_of(f"/data/{path}"), len(parts_of(path)), of_run)


A = image("00_000000", "00", "sequences/00/image_2/000000.png")
B = image("01_000000", "01", "sequences/01/image_2/000000.png")
NEXT = image("00_000001", "00", "sequences/00/image_2/000001.png")


@pytest.fixture
def write(tmp_path):
    def write(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("[]")
        return tmp_path

    return write


def test_the_names_of_a_view_are_those_below_the_data_root(frame, view_of):
    named = ImageName.of(frame, view_of(6, 8, image="drive/1.png"), "images")
    assert (named.frame_id, named.scene, named.camera, named.stem) == ("f", "s", "CAM_FRONT", "1")
    assert named.full[-named.inside :] == ("drive", "1.png")
    assert ImageName.of(frame, view_of(6, 8, image="drive/1.png")).inside == 1


def test_the_folder_of_the_scene_comes_first(write):
    folder = write("01/image_2/000000.json", "image_2/000000.json")
    assert stem_path(folder, A) == folder / "image_2" / "000000"
    assert stem_path(folder, B) == folder / "01" / "image_2" / "000000"


def test_a_file_that_two_scenes_would_use_is_refused(write):
    folder = write("image_2/000000.json", "image_2/000001.json")
    with pytest.raises(DatasetError) as caught:
        require_unshared(folder, [A, B, NEXT], (".json",))
    assert caught.value.code == "DAT002"
    for text in ("00_000000", "01_000000", str(folder / "image_2" / "000000.json")):
        assert text in caught.value.message
    assert str(folder / "01" / "image_2" / "000000.json") in caught.value.hint


def test_a_file_that_an_image_outside_of_the_run_would_use_is_refused_too(write):
    other, third = (image(f"{k}_000000", k, f"sequences/{k}/image_2/000000.png", of_run=False) for k in ("01", "02"))
    folder = write("image_2/000000.json")
    with pytest.raises(DatasetError, match=r"DAT002.*00_000000.*01_000000"):
        require_unshared(folder, [A, other], (".json",))
    require_unshared(folder, [other, third], (".json",))


@pytest.mark.parametrize(
    ("files", "images"),
    [
        (["image_2/000000.json"], [A, NEXT]),
        (["00/image_2/000000.json", "image_2/000000.json"], [A, B]),
        (["00/image_2/000000.json", "01/image_2/000000.json"], [A, B]),
        (["image_2/000001.json"], [A, B, NEXT]),
    ],
    ids=["one scene", "only one scene uses the flat folder", "a folder for each scene", "no file for the shared name"],
)
def test_files_of_one_scene_each_are_accepted(write, files, images):
    require_unshared(write(*files), images, (".json",))


def test_names_with_time_stamps_are_unique_and_not_all_taken(tmp_path):
    def images():
        for k, scene in enumerate("ab"):
            yield image(f"{k}", scene, f"samples/CAM/n015__CAM__153240292761246{k}.jpg", "CAM")
        yield image("2", "a", "samples/CAM/n015__CAM__1532402927612469.jpg", "CAM")
        pytest.fail("took all images")

    require_unshared(tmp_path, images(), (".json",))


def test_with_a_folder_for_every_scene_not_all_images_are_taken(write):
    folder = write("00/image_2/000000.json", "01/image_2/000000.json")

    def images():
        yield from (A, B, NEXT)
        pytest.fail("took all images")

    require_unshared(folder, images(), (".json",))


def test_a_camera_of_a_name_that_leaves_the_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"DAT011.*'\.\.'"):
        stem_path(tmp_path, image("a", "s", "x.png", camera="../.."))
    require_unshared(tmp_path, [image("a", "s", "x.png", camera="../..")], (".json",))


def test_a_scene_that_cannot_name_a_folder_uses_the_flat_one(write):
    folder = write("image_2/000000.json")
    assert stem_path(folder, image("a", "../..", "000000.png")) == folder / "image_2" / "000000"
