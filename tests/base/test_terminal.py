"""Control characters of foreign text do not reach the terminal."""

import io
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from pipelines.cli.failures import UserErrors
from pointsam.base.errors import DatasetError
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.base.terminal import visible, visible_line, visible_streams

HOSTILE = "\x1b]0;pwned\x07\x1b[31m\x9b\u202e\u2066"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, "\\x1b]0;pwned\\x07\\x1b[31m\\x9b\\u202e\\u2066"),
        ("a\rb", "a\\rb"),
        ("a\r\nb\tc", "a\r\nb\tc"),
        ("\udc80", "\\udc80"),
        ("Straße 東京 👩‍👩‍👧 \u200c", "Straße 東京 👩‍👩‍👧 \u200c"),
    ],
)
def test_control_characters_are_escaped_and_letters_are_not(text, shown):
    assert visible(text) == shown


def test_a_line_stays_one():
    assert visible_line("a\nerror [X]\tb\r\n") == "a\\nerror [X]\\tb\\r\\n"


def test_a_cell_of_a_table_stays_in_its_row():
    assert len(text_table(("name",), [("a\nb\x1b[31m",)]).splitlines()) == 3


@click.group(cls=UserErrors)
def program():
    pass


@program.command()
def fail():
    click.echo(f"scene {HOSTILE}")
    click.echo(f"scene {HOSTILE}", err=True)
    print(HOSTILE, file=sys.stderr)
    for _ in progress([1], desc=f"frames of {HOSTILE}"):
        pass
    raise DatasetError("DAT004", f"{HOSTILE}\nerror [DAT000] forged", "mend it")


def test_nothing_that_a_command_prints_holds_them():
    done = CliRunner().invoke(program, ["fail"])
    assert done.exit_code == 2
    assert not set(HOSTILE) & {"\x1b", "\x07", "\x9b", "\u202e", "\u2066"} & set(done.output)
    assert not any(line.startswith("error [DAT000]") for line in done.output.splitlines())
    assert done.output.count("\\x1b]0;pwned") == 6  # two of the bar


def test_the_streams_are_put_back(capsys):
    before = sys.stdout
    with visible_streams():
        print("é\x1b")
    assert sys.stdout is before
    assert capsys.readouterr().out == "é\\x1b\n"


def test_a_stream_of_ascii_gets_escapes(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    with visible_streams():
        click.echo("Straße")
        sys.stdout.flush()
    assert raw.getvalue() == b"Stra\\xdfe\n"


def test_a_bar_within_a_bar_moves_no_cursor(capsys):
    with visible_streams():
        for _ in progress(range(2), desc="train"):
            assert list(progress(range(3), desc="detect")) == [0, 1, 2]
    out = capsys.readouterr().err
    assert "train" in out
    assert "detect: 100%" in out
    assert "x1b" not in out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("asked", ["explain", "--help", "--version"])
def test_a_full_disk_behind_standard_output_is_reported(asked):
    command = [sys.executable, "-m", "pipelines.cli.label", asked]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error [OUT002] disk full")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
