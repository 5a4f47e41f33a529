import pytest
from helpers.commands import label
from helpers.masks import write_masks
from helpers.nuscenes_root import SIZE_WLH
from helpers.segmenters import Scissors
from helpers.time_stages import forget_masks, known
from helpers.training import make_world


@pytest.fixture(scope="session")
def tracked(tmp_path_factory):
    """A root, the folder of its run with tracks, and a frame without masks: five frames, in which cars drive."""
    folder = tmp_path_factory.mktemp("tracked")
    dataset = make_world(folder / "root", scenes=("scene-0103",), samples=5, edit=_drive)
    write_masks(dataset, folder / "masks")
    missed = dataset.frame_ids()[1]
    forget_masks(dataset, folder / "masks", missed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        done = label("run", dataset.root, "--out", folder / "out", *known(folder / "masks"))
    assert done.exit_code == 0, done.output
    return dataset, folder / "out", missed


def _drive(tables):
    """Move cars along x at 6 m/s."""
    number = {sample["token"]: k for k, sample in enumerate(tables["sample"])}
    for row in tables["sample_annotation"]:
        if row["size"] == list(SIZE_WLH["vehicle.car"]):
            row["translation"][0] += 0.9 * number[row["sample_token"]]
