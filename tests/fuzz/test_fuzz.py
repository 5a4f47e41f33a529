"""A short run of the fuzzer, and that it notices faults (make fuzz runs a long one)."""

import signal
import sys

import pytest

if sys.platform == "win32":
    pytest.skip("limits of time and memory are those of POSIX", allow_module_level=True)

from fuzz import fuzz as fuzzer
from fuzz.mutate import mutated
from fuzz.targets import NEEDS_TORCH, TARGETS, Target

INPUTS = 40


@pytest.fixture
def alarm():
    before = signal.signal(signal.SIGALRM, fuzzer._alarm)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_only_errors_with_a_code_come_out_of_damaged_files(kind, tmp_path, alarm, monkeypatch):
    if kind in NEEDS_TORCH:
        pytest.importorskip("torch", reason="needs pointsam[detect]")
        pytest.importorskip("safetensors", reason="needs pointsam[detect]")
    monkeypatch.setattr(fuzzer.os, "fsync", lambda _: None)
    said = []
    count, faults, _ = fuzzer.fuzz(kind, tmp_path / "files", 0, INPUTS, said.append)
    assert (count, faults, said) == (INPUTS, 0, [])


def test_the_same_seed_gives_the_same_damage_and_others_other():
    content = b'{"a": [1, 2, {"b": null}], "c": "d", "e": [0.5, "x", true], "f": {"g": 7}}'
    made = [mutated(content, str(seed)) for seed in range(200)]
    assert made == [mutated(content, str(seed)) for seed in range(200)]
    assert len(set(made)) > 100


@pytest.mark.parametrize(("fails", "name"), [(ValueError, "ValueError"), (None, "HangError")])
def test_an_error_without_a_code_and_a_hang_are_faults(tmp_path, alarm, monkeypatch, fails, name):
    monkeypatch.setattr(fuzzer, "HANG_S", 0.05)
    path = tmp_path / "files" / "a"

    def read():
        while path.read_bytes() != b"whole":
            if fails:
                raise fails("odd")

    def make(folder):
        path.write_bytes(b"whole")
        return Target([path], read)

    monkeypatch.setitem(TARGETS, "odd", make)
    said = []
    _, faults, known = fuzzer.fuzz("odd", tmp_path / "files", 0, 3, said.append)
    assert faults >= 2
    assert [key.split()[0] for key in known] == [name]
    assert len(said) == 1
