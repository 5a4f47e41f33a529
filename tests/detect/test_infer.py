"""Frames are predicted in batches, by one process or several, with the same result."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import detector  # noqa: E402
from helpers.training import make_world  # noqa: E402

from pointsam.detect.data.sample import PointsConfig  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402
from pointsam.detect.devices import Processes  # noqa: E402
from pointsam.detect.infer import InferConfig, detect_frames, gathered  # noqa: E402
from pointsam.detect.predictions_file import FramePredictions  # noqa: E402


@pytest.fixture(scope="module")
def torn(tmp_path_factory):
    """Eight frames, the sixth of which has no points on disk."""
    world = make_world(tmp_path_factory.mktemp("torn") / "root", scenes=("scene-0061", "scene-0103"))
    world.frame(world.frame_ids()[5]).sweep.source.path.unlink()
    return world


def network_of(world):
    """A detector that finds boxes everywhere."""
    torch.manual_seed(0)
    config = detector("center-pillar")
    return Detector(replace(config, head=replace(config.head, score_threshold=0.0, candidates=20)), world.taxonomy)


def same(a, b):
    if not isinstance(a, FramePredictions):
        return a == b
    names = ("boxes", "score", "class_id", "velocity")
    return a.frame_id == b.frame_id and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


@pytest.mark.parametrize("size", [1, 3, 4, 20])
def test_a_batch_has_the_boxes_of_its_frames(size, torn):
    network, frame_ids = network_of(torn), torn.frame_ids()
    alone = list(detect_frames(network, torn, frame_ids, InferConfig(PointsConfig())))
    together = list(detect_frames(network, torn, frame_ids, InferConfig(PointsConfig(), size)))
    assert together[5] == alone[5]
    assert together[5][0] == frame_ids[5]
    for k in (0, 1, 2, 3, 4, 6, 7):
        assert together[k].frame_id == alone[k].frame_id == frame_ids[k]
        assert together[k].score == pytest.approx(alone[k].score, abs=1e-6)
        assert len(together[k].score) > 0
    assert network.training


def test_half_precision_is_that_of_the_network(torn, monkeypatch):
    network, enabled = network_of(torn), []
    monkeypatch.setattr(network, "forward", lambda batch: enabled.append(torch.is_autocast_enabled("cpu")) or [])
    for precision in ("fp32", "bf16"):
        with pytest.raises((RuntimeError, ValueError)):  # no predictions
            list(detect_frames(network, torn, torn.frame_ids()[:1], InferConfig(PointsConfig(), 1, precision)))
    assert enabled == [False, True]


def _process(rank, port, world, queue):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    processes, config = Processes(rank, 2, torch.device("cpu")), InferConfig(PointsConfig(), 3)
    mine = list(detect_frames(network_of(world), world, world.frame_ids(), config, rank, 2))
    queue.put((rank, len(mine), gathered(mine, world.frame_ids(), processes)))
    torch.distributed.destroy_process_group()


def test_two_processes_share_the_frames_and_the_first_has_all_results(torn, free_port):
    torch.set_num_threads(1)
    config = InferConfig(PointsConfig(), 3)
    whole = list(detect_frames(network_of(torn), torn, torn.frame_ids(), config))
    context = torch.multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_process, args=(rank, free_port, torn, queue), daemon=True) for rank in range(2)]
    for worker in workers:
        worker.start()
    results = {rank: parts for rank, *parts in (queue.get(timeout=60) for _ in workers)}
    for worker in workers:
        worker.join(60)
    assert [results[rank][0] for rank in (0, 1)] == [5, 3]  # batches 0 and 2, batch 1
    assert results[1][1] == []
    assert len(results[0][1]) == len(whole) == 8
    assert all(same(a, b) for a, b in zip(results[0][1], whole, strict=True))


def test_one_process_has_its_own_results():
    results = [("a", "torn"), ("b", "torn")]
    assert gathered(results, ["a", "b"], Processes(0, 1, torch.device("cpu"))) == results
