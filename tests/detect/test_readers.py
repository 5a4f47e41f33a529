"""What is said when the processes that load data, or the memory, fail."""

import os
import signal
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch.utils.data import DataLoader, Dataset  # noqa: E402

from pointsam.base.errors import SchemaError, TrainingError  # noqa: E402
from pointsam.detect import readers  # noqa: E402
from pointsam.detect.readers import named_failures, nbytes, require_shared_memory, shared  # noqa: E402

Usage = namedtuple("Usage", "total used free")


@dataclass
class Parts:
    name: str
    values: tuple
    more: dict


def test_bytes_of_all_tensors_are_counted():
    values = Parts("abc", (torch.zeros(3, 2), [torch.zeros(5, dtype=torch.int64)]), {"a": torch.zeros(4)})
    assert nbytes(values) == 3 * 2 * 4 + 5 * 8 + 4 * 4
    assert nbytes(None) == nbytes("text") == 0


class TestSharedMemory:
    @pytest.fixture
    def free(self, monkeypatch):
        """64 MB, as in containers."""
        monkeypatch.setattr(readers.shutil, "disk_usage", lambda _: Usage(2**26, 0, 2**26))
        if not readers.SHARED.is_dir():
            pytest.skip("there is no /dev/shm here")

    def test_batches_that_do_not_fit_are_refused_before_the_first_step(self, free):
        with pytest.raises(
            TrainingError, match=r"TRN003.*64 MB, and 4 readers with 2 batches of 6 .* need 288 MB"
        ) as e:
            require_shared_memory(6 * 2**20, 6, 4)
        assert "train.workers" in e.value.hint
        assert "--shm-size" in e.value.hint

    def test_others_are_not(self, free):
        require_shared_memory(6 * 2**20, 5, 1)
        require_shared_memory(2**30, 6, 0)  # the process reads itself

    def test_a_system_without_it_is_not_asked(self, monkeypatch, tmp_path):
        monkeypatch.setattr(readers, "SHARED", tmp_path / "none")
        require_shared_memory(2**40, 6, 4)


class Full(Dataset):
    """Samples that shared memory refuses, as torch does."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.zeros(10)


class Killed(Full):
    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def joined_where_nothing_is_free(items):
    def refuse(_):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    torch.Tensor.share_memory_ = refuse  # in the worker only
    return shared(items)


def test_shared_memory_that_is_refused_ends_the_training():
    """torch shares tensors in a thread of its queue: an error there is lost, and the other side waits for ever."""
    loader = DataLoader(Full(), batch_size=2, num_workers=1, collate_fn=joined_where_nothing_is_free, timeout=60)
    with pytest.raises(TrainingError, match=r"TRN003.*got no shared memory") as caught, named_failures(lambda: "again"):
        list(loader)
    assert caught.value.hint.endswith("; again")
    assert "\n" not in caught.value.message


def test_a_reader_that_is_killed_is_one_sentence_with_a_way_out():
    loader = DataLoader(Killed(), batch_size=2, num_workers=1, timeout=60)
    with (
        pytest.raises(TrainingError, match=r"TRN003.*a process that loads data has died") as caught,
        named_failures(lambda: "the checkpoint of step 4 is kept"),
    ):
        list(loader)
    assert "train.workers" in caught.value.hint
    assert caught.value.hint.endswith("the checkpoint of step 4 is kept")


class Large(Full):
    def __getitem__(self, index):
        return np.empty((10**7, 10**7))


@pytest.mark.parametrize("workers", [0, 1])
def test_memory_that_is_refused_to_numpy(workers):
    """In a reader too, whose error comes as a text."""
    loader = DataLoader(Large(), num_workers=workers, timeout=60 * workers)
    with (
        pytest.raises(TrainingError, match=r"TRN003.*memory ran out: .*Unable to allocate 728\. TiB") as caught,
        named_failures(lambda: "again"),
    ):
        list(loader)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "memory ran out"),
        (MemoryError("Unable to allocate 4 GiB"), "memory ran out: Unable to allocate 4 GiB"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 bytes"),
            "memory ran out",
        ),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: not enough memory: you tried 4 bytes"
            ),
            "memory ran out",
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "memory ran out"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory ran out"),
        (OSError(12, "Cannot allocate memory"), "memory ran out"),
        (RuntimeError("received 0 items of ancdata"), "too many open files"),
        (RuntimeError("[pair.cc:554] Connection closed by peer [127.0.0.1]:1"), "another process of the training has"),
        (RuntimeError("unable to open shared memory object </torch_3> in read-write mode"), "got no shared memory"),
    ],
    ids=str,
)
def test_what_else_runs_out(error, told):
    with pytest.raises(TrainingError, match=f"TRN003.*{told}"), named_failures(lambda: "again"):
        raise error


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(2, "no such file"), SchemaError("S", "m", "h")]
)
def test_other_errors_stay(error):
    with pytest.raises(type(error)) as caught, named_failures(lambda: "again"):
        raise error
    assert caught.value is error
