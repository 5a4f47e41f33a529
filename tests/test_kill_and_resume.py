"""What scripts/kill_and_resume.py counts as a kill."""

import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import kill_and_resume

    return kill_and_resume


def process(program):
    return subprocess.Popen(["sh", "-c", program], stderr=subprocess.PIPE, start_new_session=True)


def test_a_running_command_is_killed(script):
    running = process("exec sleep 60")
    assert script.killed(running, 0.05)
    assert running.returncode == -signal.SIGKILL


def test_a_command_that_had_ended_was_not_killed(script):
    assert not script.killed(process("true"), 60)


def test_a_command_that_fails_ends_the_trials(script):
    with pytest.raises(SystemExit, match="run failed with 3"):
        script.killed(process("exit 3"), 60)


def test_workers_that_outlive_their_parent_are_told(script, monkeypatch):
    monkeypatch.setattr(script, "WORKERS_END_S", 0.2)
    with pytest.raises(SystemExit, match="workers still ran"):
        script.killed(process("sleep 60 & sleep 60"), 1)


def test_a_moment_after_the_end_is_drawn_again(script, monkeypatch, tmp_path):
    trials = iter([("true", 60), ("true", 60), ("exec sleep 60", 0.1)])
    under_way = []

    class Moments:
        def uniform(self, *_):
            under_way[:] = next(trials)
            return under_way[1]

    def start(_root, out, *_):
        out.mkdir()
        return process(under_way[0])

    monkeypatch.setattr(script, "start", start)
    args = Namespace(root=tmp_path, workers=2, options=[])
    assert script.interrupt(args, tmp_path / "out", Moments(), 60) == 0.1


def test_a_run_without_tables_is_an_error(script, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["kill_and_resume.py", str(tmp_path)])
    monkeypatch.setattr(script, "finish", lambda *_: 1.0)
    with pytest.raises(SystemExit, match="no table"):
        script.main()
