"""The images of a frame on a GPU: segmented together, by threads of one process."""

import numpy as np
import pytest
from helpers.commands import label
from helpers.segmenters import Scissors

from pipelines.labelling.together import together
from pipelines.tasks import Attempt, Task
from pointsam.base.errors import BackendError, DatasetError, SchemaError
from pointsam.base.runtime import Stopwatch
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.masks.requests import Embed, FromBoxes
from pointsam.semantics.precomputed import PrecomputedSemantics
from pointsam.store.reader import Labels


class Recorder:
    """Notes what it is asked together."""

    name = "recorder"

    def __init__(self):
        self.calls = []

    def embed_all(self, images):
        self.calls.append(("embed", list(images)))
        return [f"e-{image}" for image in images]

    def from_boxes_all(self, embeddings, boxes):
        self.calls.append(("boxes", list(embeddings)))
        if "e-broken" in embeddings:
            raise BackendError("BCK008", "the network failed", "try again")
        if "e-odd" in embeddings:
            raise ValueError("odd")
        return [f"m-{embedding}" for embedding in embeddings]

    def from_points_all(self, embeddings, points):
        raise NotImplementedError


def steps(image, boxes=True, fails=False):
    def work():
        embedding = yield Embed(image)
        if fails:
            raise DatasetError("DAT005", f"{image} is damaged", "mend it")
        return (yield FromBoxes(embedding, None)) if boxes else embedding

    return Attempt(Task("f0", image, False, None), Stopwatch(), {}), work


def test_what_images_ask_at_the_same_time_is_answered_together():
    segmenter = Recorder()
    rows = together([steps("a"), steps("b", boxes=False), steps("c")], segmenter)
    assert rows == ["m-e-a", "e-b", "m-e-c"]
    assert segmenter.calls == [("embed", ["a", "b", "c"]), ("boxes", ["e-a", "e-c"])]


def test_a_damaged_image_is_set_aside_and_the_others_go_on():
    images = [steps("a"), steps("b", fails=True), steps("c")]
    assert together(images, Recorder()) == ["m-e-a", None, "m-e-c"]
    assert [attempt.error and attempt.error.code for attempt, _ in images] == [None, "DAT005", None]


def test_an_error_of_the_network_is_one_of_each_image_that_asked():
    images = [steps("a"), steps("odd"), steps("c", boxes=False)]
    assert together(images, Recorder()) == [None, None, "e-c"]
    assert [attempt.error and attempt.error.code for attempt, _ in images] == ["INT001", "INT001", None]
    with pytest.raises(BackendError, match="the network failed"):
        together([steps("a"), steps("broken")], Recorder())


def test_a_stop_iteration_of_a_plug_in_is_a_defect_and_not_the_end():
    def work():
        yield Embed("a")
        raise StopIteration

    attempt = Attempt(Task("f0", "a", False, None), Stopwatch(), {})
    assert together([(attempt, work), steps("b")], Recorder()) == [None, "m-e-b"]
    assert attempt.error.code == "INT001"


@pytest.mark.parametrize("given", [["e-a"], ["e-a", "e-b", "e-c"], None])
def test_a_plug_in_that_answers_another_number_of_images_is_named(given):
    class Broken(Recorder):
        def embed_all(self, images):
            return given

    with pytest.raises(SchemaError, match=r"SCH003.*recorder(.|\n)*plugins\.md"):
        together([steps("a"), steps("b")], Broken())


@pytest.fixture
def on_gpu(drive, tmp_path, monkeypatch):
    """Runs the mask stage as on a GPU; gives the output folder and the frames whose images were encoded together."""

    def call(segmenter, *more):
        monkeypatch.setattr("pipelines.labelling.jobs.require_device", lambda _: None)
        monkeypatch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: segmenter)
        files = ("--semantics", "precomputed", "--masks-dir", drive[1], "--device", "cuda", "--workers", 2)
        result = label("masks", drive[0], "--out", tmp_path / "gpu", *files, *more)
        assert result.exit_code == 0, result.output
        return Labels(tmp_path / "gpu")

    return call


class Together(Scissors):
    """Takes the images of a frame at once."""

    def __init__(self):
        self.sizes = []

    def embed_all(self, images):
        self.sizes.append(len(images))
        return [self.embed(image) for image in images]

    def from_boxes_all(self, embeddings, boxes):
        return [self.from_boxes(*both) for both in zip(embeddings, boxes, strict=True)]

    def from_points_all(self, embeddings, points):
        return [self.from_points(*both) for both in zip(embeddings, points, strict=True)]


@pytest.mark.parametrize("kind", [Together, Scissors])
def test_threads_label_whole_frames_as_processes_label_images(on_gpu, drive, out, kind):
    segmenter = kind()
    found, expected = on_gpu(segmenter), Labels(out)
    frame_ids = NuScenes(drive[0]).frame_ids()
    assert len(frame_ids) == 2
    for frame_id in frame_ids:
        images, others = found.masks(frame_id), expected.masks(frame_id)
        assert list(images) == list(others)
        assert sum(len(row.masks) for row in images.values()) > 0
        for name, row in images.items():
            assert row.masks.rle == others[name].masks.rle
            assert row.detections.box_xyxy_px.tobytes() == others[name].detections.box_xyxy_px.tobytes()
    if kind is Together:  # one call for each frame, of the images with an object
        objects = [sum(len(row.masks) > 0 for row in expected.masks(frame_id).values()) for frame_id in frame_ids]
        assert sorted(segmenter.sizes) == sorted(objects)


def test_a_source_of_classes_that_is_not_made_for_threads_gets_one_image_at_a_time(on_gpu, drive, monkeypatch):
    inside = []
    real = PrecomputedSemantics.detect

    def detect(self, image, frame, view):
        inside.append(1)
        assert len(inside) == 1
        try:
            return real(self, np.array(image), frame, view)
        finally:
            inside.pop()

    monkeypatch.setattr(PrecomputedSemantics, "detect", detect)
    monkeypatch.setattr(PrecomputedSemantics, "concurrent", False)
    assert len(on_gpu(Scissors()).masks(NuScenes(drive[0]).frame_ids()[0])) == 6
