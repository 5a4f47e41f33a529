"""`mixsup-train eval` and `predict`: readers that fail or get no memory, and data that do not fit the detector."""

import os
import shutil
import signal
import warnings
from collections import namedtuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_world  # noqa: E402
from torch.utils.data import get_worker_info  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.recipe_file import Network  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.detect import readers  # noqa: E402
from pointsam.detect.checkpoint import TrainingProgress, save_checkpoint  # noqa: E402
from pointsam.detect.data.loader import FrameItems  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a root, and a run folder whose checkpoint holds random weights."""
    folder = tmp_path_factory.mktemp("readers")
    world, recipe = make_world(folder / "root"), tiny()
    model = Detector(recipe.detector, world.taxonomy)
    optimizer = torch.optim.AdamW(model.parameters())
    save_checkpoint(
        folder / "run" / "last.safetensors", model, optimizer, TrainingProgress(1), Network(recipe, world.taxonomy)
    )
    return folder


@pytest.fixture(params=["eval", "predict"])
def call(made, tmp_path, request):
    more = ["--dest", tmp_path / "found"] if request.param == "predict" else []

    def run(workers=1, root=made / "root"):
        words = [request.param, made / "run", "--data", root, "--split", "mini_val", "--workers", workers]
        return CliRunner().invoke(main, [str(word) for word in (*words, *more)], catch_exceptions=False)

    return run


def in_readers(monkeypatch, act):
    load = FrameItems.__getitem__

    def changed(self, index):
        if get_worker_info() is not None:
            act()
        return load(self, index)

    monkeypatch.setattr(FrameItems, "__getitem__", changed)


def without_shared_memory():
    def refuse(_):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    torch.Tensor.share_memory_ = refuse  # in the reader only


def test_batches_go_to_shared_memory_in_the_reader(call, monkeypatch):
    """Where torch does it, in a thread of its queue, an error is lost and the command waits for ever."""
    in_readers(monkeypatch, without_shared_memory)
    result = call()
    refused(result, "TRN003", "a reader got no shared memory", "lower --workers: --workers 0 needs none")
    assert "Traceback" not in result.output


def test_a_reader_that_is_killed(call, monkeypatch):
    in_readers(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    result = call()
    refused(result, "TRN003", "a process that loads data has died", "use fewer readers (--workers; 0 needs none), or a")
    assert "train." not in result.output


def test_shared_memory_that_is_too_small_is_told_before_a_reader_starts(call, monkeypatch):
    if not readers.SHARED.is_dir():
        pytest.skip("there is no /dev/shm here")
    monkeypatch.setattr(readers.shutil, "disk_usage", lambda _: Usage(2**10, 0, 2**10))
    in_readers(monkeypatch, lambda: pytest.fail("a reader was started"))
    refused(call(), "TRN003", "1 readers with 2 batches of 2 samples each need", "lower --workers: --workers 0 needs")
    assert call(workers=0).exit_code == 0


class TestOtherData:
    """Data unlike those of the training give no boxes; the command says why."""

    @pytest.fixture
    def told(self, call, made, tmp_path):
        """A function that changes the (N,5) values of each key sweep, and returns the warnings of a command."""

        def edit(change):
            shutil.copytree(made / "root", tmp_path / "root")
            world = NuScenes(tmp_path / "root")
            for frame_id in world.frame_ids():
                path = world.frame(frame_id).sweep.source.path
                values = np.fromfile(path, dtype="<f4").reshape(-1, 5)
                change(values)
                values.tofile(path)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                assert call(0, tmp_path / "root").exit_code == 0
            return [str(one.message) for one in caught if one.category is RuntimeWarning]

        return edit

    def test_nothing_is_said_of_data_that_fit(self, told):
        assert told(lambda values: None) == []

    def test_a_lidar_ten_metres_higher(self, told):
        def lower(values):
            values[:, 2] -= 10

        (text,) = told(lower)
        assert text.startswith("of 4 frames that were read, 0% of the points are inside of detector.grid.range_m")
        assert text.endswith("check the range, the unit, and the height of the LiDAR above ground")

    def test_intensities_of_another_scale(self, told):
        def smaller(values):
            values[:, 3] /= 255

        (text,) = told(smaller)
        assert "no intensity is above 1, and data.points.intensity_full is 255" in text


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(made, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.training.predict.load_run", lambda *_, **__: pytest.fail("it began"))
    (tmp_path / "file").touch()
    words = ["predict", made / "run", "--data", made / "root", "--dest", tmp_path / "file" / "found"]
    refused(CliRunner().invoke(main, [str(word) for word in words]), "OUT003", "cannot write in")


def test_a_lower_threshold_than_the_recipe_keeps_more(made, tmp_path):
    """Random weights have low scores."""

    def boxes(*more):
        dest = tmp_path / "_".join(["found", *more])
        words = ["predict", made / "run", "--data", made / "root", "--workers", 0, "--dest", dest]
        result = CliRunner().invoke(main, [str(word) for word in (*words, *more)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return pq.read_table(dest / "detections.parquet")

    every, some, few = boxes("--min-score", "0"), boxes(), boxes("--min-score", "1")
    least = tiny().detector.head.score_threshold
    assert len(every) > len(some) >= len(few) == 0
    assert every.filter(pc.less(every["score"], least)).num_rows > 0
    assert all(score >= least for score in some["score"].to_pylist())
