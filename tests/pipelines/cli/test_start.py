"""Ctrl-C and SIGTERM at chosen moments: one line, no traceback, no process and no temporary file stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import label, tables, temporaries

from pipelines.cli.start import Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SCRIPT = """
import os, signal, sys

number, event, part, group, *arguments = sys.argv[1:]
if not event.startswith("early"):  # the segmenter of tests, in workers too
    from helpers import scissors_label


def hook(name, values):
    global event
    if name == event.partition(" ")[2] and part in str(values[0]):
        event = ""
        send = os.killpg if group == "group" else os.kill
        send(os.getpgid(0) if group == "group" else os.getpid(), int(number))


if __name__ == "__main__":
    sys.addaudithook(hook)
    from pipelines.cli.start import label

    sys.argv[1:] = arguments
    sys.exit(label())
"""


@pytest.fixture
def interrupted(tmp_path):
    """Runs a command that gets a signal, once, at an audit event whose first value holds a text."""
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)

    def interrupted(number, event, part, group, *arguments):
        command = [sys.executable, str(script), str(int(number)), event, part, group, *map(str, arguments)]
        path = os.pathsep.join([str(Path(__file__).parents[3]), str(Path(__file__).parents[2])])
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    return interrupted


MOMENTS = {
    "the first import": (signal.SIGINT, "early import", "click", "process"),
    "a late import": (signal.SIGINT, "late import", "pipelines.labelling.closing", "process"),
    "the start of the workers": (signal.SIGINT, "late import", "multiprocessing.popen_spawn_posix", "group"),
    "reading": (signal.SIGINT, "late open", "LIDAR_TOP", "process"),
    "writing": (signal.SIGINT, "late os.rename", "out/masks", "process"),
    "the second stage": (signal.SIGTERM, "late os.rename", "out/points", "group"),
}


def said(done):
    """The lines of the program's own, without those of progress bars."""
    return [line for line in done.stderr.split("\n") if line and "frame/s" not in line and "%|" not in line]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_run_says_one_line_and_continues_to_the_same_bytes(
    drive, out, tmp_path, scissors, interrupted, moment
):
    number = MOMENTS[moment][0]
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 2 if "workers" in moment else 1)
    command = ("run", drive[0], "--out", tmp_path / "out", *known)
    done = interrupted(*MOMENTS[moment], *command)
    assert done.returncode == 128 + number, done.stderr
    if moment == "the first import":
        assert said(done) == ["interrupted; nothing was written: run the same command again"]
        return
    assert said(done) == ["interrupted; finished shards stay; the same command continues: run it again"]
    assert temporaries(tmp_path / "out") == []
    result = label(*command[:-1], 1)
    assert result.exit_code == 0, result.output
    assert tables(tmp_path / "out") == tables(out)


def test_workers_in_the_middle_of_their_tasks_end_with_the_program(tmp_path):
    """Each says that it works; the first that does gets Ctrl-C sent to the whole group."""
    script = tmp_path / "pool.py"
    script.write_text(
        "import os, signal, sys, time\n"
        "from pipelines.engine import ordered_map\n"
        "from pointsam.base import interrupts\n"
        "def nothing(): pass\n"
        "def work(x):\n"
        "    os.write(1, b'%d\\n' % os.getpid())\n"
        "    if x == 3: os.killpg(os.getpgid(0), signal.SIGINT)\n"
        "    time.sleep(0 if x < 2 else 100)\n"
        "if __name__ == '__main__':\n"
        "    interrupts.catch()\n"
        "    list(ordered_map(work, range(100), 2, nothing, ()))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        start_new_session=True,
        env=env,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted; run the same command again\n")
    for pid in set(map(int, done.stdout.split())):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_program_that_ignores_the_signal_goes_on(interrupted):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and `&` of a script do
    try:
        done = interrupted(signal.SIGINT, "early import", "click", "process", "plugins")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stderr


def test_a_program_is_its_click_command():
    program = Program("pipelines.cli.label")
    assert (program.name, "run" in program.commands) == ("main", True)
