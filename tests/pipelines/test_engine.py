import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.engine import ordered_map
from pointsam.base.errors import BackendError


def _nothing():
    pass


def _square(x):
    return x * x


def _fail(x):
    raise BackendError("BCK006", "no such device", "use --device cpu")


def _die(x):
    os._exit(1)


def _say_who(x):
    time.sleep(0.05)
    return os.getpid()


def _running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(params=["local", "ray"])
def engine(request, monkeypatch):
    if request.param == "ray":
        pytest.importorskip("ray", reason="needs pointsam[ray]")
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # Ray's workers import this module
    return request.param


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers, engine):
    assert list(ordered_map(_square, range(20), workers, _nothing, (), engine)) == [x * x for x in range(20)]


def test_threads_share_one_worker_and_keep_the_order():
    def work(x):
        barrier.wait(timeout=30)  # only two threads at once get past it
        return x * x, os.getpid(), len(opened)

    barrier, opened = threading.Barrier(2), []
    results = list(ordered_map(work, range(20), 2, opened.append, ("models",), "threads"))
    assert results == [(x * x, os.getpid(), 1) for x in range(20)]


def test_an_error_of_a_thread_ends_the_others_after_their_task():
    def work(x):
        done.append(x)
        if x == 3:
            raise BackendError("BCK006", "no such device", "use --device cpu")

    done = []
    with pytest.raises(BackendError, match="BCK006"):
        list(ordered_map(work, range(1000), 2, _nothing, (), "threads"))
    assert len(done) < 20


def test_a_workers_error_is_raised_in_the_caller(engine):
    with pytest.raises(BackendError, match="BCK006"):
        list(ordered_map(_fail, range(3), 2, _nothing, (), engine))


def _stop(x):
    if x == 1:
        raise StopIteration
    return x


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_iteration_is_an_error_and_not_the_end(workers):
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(ordered_map(_stop, range(4), workers, _nothing, ()))


def test_tasks_are_taken_only_as_they_are_needed():
    taken = []

    def tasks():
        for x in range(100):
            taken.append(x)
            yield x

    results = ordered_map(_square, tasks(), 2, _nothing, ())
    next(results)
    assert len(taken) <= 9
    results.close()


def test_a_dead_worker_is_an_error(engine):
    with pytest.raises(BackendError, match="BCK007"):
        list(ordered_map(_die, range(3), 2, _nothing, (), engine))


@pytest.mark.parametrize(
    ("workers", "gpus", "says"),
    [
        (1000, 0.0, "1000 workers need 1000 CPUs, and Ray's cluster has 2"),
        (2, 1.0, "2 workers need 2 GPUs, and Ray's cluster has 1"),
    ],
)
def test_more_workers_than_the_cluster_has_room_for_are_refused(monkeypatch, workers, gpus, says):
    ray = pytest.importorskip("ray", reason="needs pointsam[ray]")
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    with pytest.raises(BackendError, match=f"BCK006.*{says}") as caught:
        next(ordered_map(_square, range(3), workers, _nothing, (), "ray", gpus))
    assert "--workers" in caught.value.hint


def test_a_gpu_that_the_cluster_lacks_is_named():
    ray = pytest.importorskip("ray", reason="needs pointsam[ray]")
    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False)
    if ray.cluster_resources().get("GPU"):
        pytest.skip("there is a GPU here")
    with pytest.raises(BackendError, match=r"BCK006.*cluster has 0") as caught:
        next(ordered_map(_square, range(3), 1, _nothing, (), "ray", 1.0))
    assert "--engine local" in caught.value.hint


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(
        "from test_engine import _nothing, _say_who, ordered_map\n"
        "if __name__ == '__main__':\n"
        "    for pid in ordered_map(_say_who, range(10_000), 2, _nothing, ()):\n"
        "        print(pid, flush=True)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    parent = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    workers = {int(parent.stdout.readline()) for _ in range(20)}
    assert all(map(_running, workers))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    end = time.monotonic() + 10
    while any(map(_running, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    left = [pid for pid in workers if _running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
