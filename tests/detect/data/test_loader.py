"""Which samples a step takes, what stands in for bad ones, and batches on their way to the device."""

import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_labels import box_labels, joined  # noqa: E402
from helpers.detect_samples import sample_of  # noqa: E402
from torch.utils.data._utils.pin_memory import pin_memory  # noqa: E402

from pointsam.base.errors import DatasetError  # noqa: E402
from pointsam.detect.data.coarse import of_points  # noqa: E402
from pointsam.detect.data.loader import Key, LoadedBatch, Steps, TrainingItems, join_samples, training_loader  # noqa: E402
from pointsam.detect.data.sample import visible_centers  # noqa: E402
from pointsam.detect.detector import Batch  # noqa: E402


def test_the_loader_pins_the_tensors_of_a_batch(monkeypatch):
    """Torch pins what has a method of this name, and nothing else of a type of ours."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda points: points + 1)
    labels = joined(box_labels(torch.zeros(3, 7), torch.zeros(3, dtype=torch.int64)))
    item = pin_memory(LoadedBatch(Batch(("frame",), (torch.zeros(2, 5),), (2,), labels), (("bad", "torn"),)))
    assert (item.batch.points[0] == 1).all()
    assert (item.batch.labels.every.boxes == 1).all()
    assert (item.batch.labels.box_sample == 1).all()
    assert item.bad == (("bad", "torn"),)
    assert pin_memory(LoadedBatch(None)).batch is None


class Frames:
    """A training set of numbered frames, some of them bad."""

    def __init__(self, count, bad=()):
        self.frame_ids, self.bad, self.asked = tuple(f"f{k}" for k in range(count)), bad, []

    def order(self, epoch):
        return np.arange(len(self.frame_ids)) * 10 + epoch

    def sample(self, index, epoch, position, paste):
        self.asked.append((index, epoch, position, paste))
        if index in self.bad:
            raise DatasetError("DAT004", "torn", "repair it")
        return SimpleNamespace(
            frame_id=self.frame_ids[index],
            points=np.full((2, 5), index),
            num_key=1,
            labels=lambda: box_labels(torch.zeros(index, 7), torch.zeros(index, dtype=torch.int64)),
        )


def test_processes_share_the_places_of_a_step_and_the_rest_is_dropped():
    steps = [Steps(Frames(11), 2, rank, 2) for rank in (0, 1)]
    positions = [[[key.position for key in step] for step in one] for one in steps]
    assert positions == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    assert [len(one) for one in steps] == [2, 2]
    steps[1].epoch, steps[1].first, steps[1].paste = 3, 1, False
    assert list(steps[1]) == [[Key(63, 3, 6, False), Key(73, 3, 7, False)]]
    assert len(steps[1]) == 1


def test_the_next_frame_stands_in_for_a_bad_one():
    frames = Frames(4, bad=(3, 0))
    item = TrainingItems(frames)[Key(3, 5, 7, True)]
    assert frames.asked == [(3, 5, 7, True), (0, 5, 7, True), (1, 5, 7, True)]
    assert item.batch.frame_ids == ("f1",)
    assert (item.batch.points[0] == 1).all()
    assert [frame_id for frame_id, _ in item.bad] == ["f3", "f0"]


@pytest.mark.parametrize(("bad", "found"), [(9, True), (10, False)])
def test_ten_frames_are_tried(bad, found):
    item = TrainingItems(Frames(20, bad=range(bad)))[Key(0, 0, 0, True)]
    assert (item.batch is not None) == found
    assert len(item.bad) == bad


def test_samples_of_a_step_are_one_batch_unless_one_is_missing():
    items = [TrainingItems(Frames(4, bad=(1,)))[Key(k, 0, 0, True)] for k in (0, 1, 3)]
    both = join_samples(items)
    assert both.batch.frame_ids == ("f0", "f2", "f3")
    assert [points[0, 0].item() for points in both.batch.points] == [0, 2, 3]
    assert [frame_id for frame_id, _ in both.bad] == ["f1"]
    assert [len(labels.boxes) for labels in both.batch.labels.samples()] == [0, 2, 3]
    assert join_samples([*items, LoadedBatch(None, (("x", "torn"),))]).batch is None
    assert [len(points) for points in both.batch.key_points] == [1, 1, 1]


def test_clusters_as_boxes_head_along_their_longer_side():
    sample = sample_of(0, boxes=1, clusters=0, background=0, past=0)
    xyz = np.array([[0, 0, 0], [1, 4, 2], [10, 0, 0], [13, 1, 0], [20, 5, 5]], dtype=np.float32)
    points = np.column_stack([xyz, np.zeros((5, 2), dtype=np.float32)])
    labels = of_points(xyz, np.array([0, 0, 1, 1, 2]), np.array([4, 5, 6], dtype=np.uint8))
    after = replace(sample, points=points, clusters=labels).clusters_as_boxes()
    expected = [
        [0.5, 2, 1, 4, 1, 2, np.pi / 2],
        [11.5, 0.5, 0, 3, 1, 0.1, 0],
        [20, 5, 5, 0.1, 0.1, 0.1, 0],
    ]
    assert after.boxes[1:] == pytest.approx(np.array(expected))
    assert after.box_class[1:].tolist() == [4, 5, 6]
    assert np.isnan(after.velocity[1:]).all()
    assert len(after.clusters) == 0
    assert (after.clusters.cluster_id == -1).all()


def test_a_visible_centre_is_that_of_the_points_or_of_the_box():
    boxes = np.array([[0.0, 0, 0, 4, 4, 4, 0], [50, 0, 0, 4, 4, 4, 0]])
    xyz = np.array([[-1.0, 0, 1], [1.5, 1, 0], [0, 0.5, 0.5], [9, 9, 9]])
    assert visible_centers(xyz, boxes).tolist() == [[0.25, 0.5, 0.5], [50, 0, 0]]


def test_workers_serve_all_epochs():
    """Each sample says which process read it."""

    class Numbered(Frames):
        def order(self, epoch):
            return np.arange(len(self.frame_ids))

        def sample(self, index, epoch, position, paste):
            sample = super().sample(index, epoch, position, paste)
            sample.points = np.array([[os.getpid(), epoch, 0, 0, 0]])
            return sample

    steps = Steps(Numbered(8), 2, 0, 1)
    loader, readers = training_loader(steps, 2, torch.device("cpu")), []
    for epoch in range(3):
        steps.epoch = epoch
        rows = torch.cat([points for item in loader for points in item.batch.points])
        assert rows[:, 1].tolist() == [epoch] * 8
        readers.append(set(rows[:, 0].tolist()))
    assert readers[0] == readers[1] == readers[2]
    assert len(readers[0]) == 2
