"""The flags that mean the same in every command, and where results are printed."""

import json

import click
import pytest
from click.testing import CliRunner

from pipelines.cli.label import main as label
from pipelines.cli.options import JSON_OPTION
from pipelines.cli.output import remark, show
from pipelines.cli.train import main as train


def commands(group, name):
    for key, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {key}")
        else:
            yield f"{name} {key}", command


COMMANDS = {**dict(commands(label, "pointsam-label")), **dict(commands(train, "mixsup-train"))}


def options(flag):
    """The option that help shows under a name, of each command that has it."""
    shown = {}
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.opts[0] == flag:
                shown[name] = option
    return shown


@pytest.mark.parametrize("flag", ["--json", "--frames", "--version", "--out", "--dest", "--data", "--split", "--set"])
def test_a_flag_takes_the_same_kind_of_value_in_every_command(flag):
    kinds = {(option.type.name, option.is_flag, option.multiple) for option in options(flag).values()}
    assert len(kinds) == 1, options(flag)


def test_the_folder_of_a_run_is_out_and_what_is_written_once_is_dest():
    outs = {name.split()[1] for name in options("--out")}
    assert outs == {"run", "masks", "clusters", "looks", "tracks", "noise", "demo", "fit", "experiment"}
    dests = {name.split()[1] for name in options("--dest")}
    ours = {"report", "export", "fit-probability", "calibrate", "try-2d"}
    assert dests == ours | {"budget", "predict", "suggest", "show"}


@pytest.mark.parametrize(
    ("command", "now", "before"),
    [
        ("pointsam-label synth", "--key-frames", "--frames"),
        ("pointsam-label demo", "--key-frames", "--frames"),
        ("pointsam-label calibrate", "--dest", "--out"),
        ("mixsup-train budget", "--dest", "--out"),
    ],
)
def test_a_former_name_works_and_is_not_in_the_help(command, now, before):
    (option,) = (one for one in COMMANDS[command].params if now in one.opts)
    assert option.opts == [now, before]
    names, _ = option.get_help_record(click.Context(COMMANDS[command]))
    assert names.split()[0] == now
    assert before not in names


@click.command()
@JSON_OPTION
def command(json_file):
    show("two clusters", {"clusters": 2}, json_file)
    remark("next: look", json_file)


def run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args])


def test_without_json_text_is_printed():
    assert run().stdout == "two clusters\nnext: look\n"


@pytest.mark.parametrize("args", [("--json", "-"), ("--json",)])
def test_a_dash_or_no_value_prints_json_and_nothing_else_to_stdout(args):
    done = run(*args)
    assert json.loads(done.stdout) == {"clusters": 2}
    assert done.stderr == "next: look\n"


def test_a_file_gets_json_beside_the_text(tmp_path):
    done = run("--json", tmp_path / "new" / "found.json")
    assert done.stdout == "two clusters\nnext: look\n"
    assert json.loads((tmp_path / "new" / "found.json").read_text()) == {"clusters": 2}


def test_a_folder_is_refused_before_the_work(tmp_path):
    done = run("--json", tmp_path)
    assert done.exit_code == 2
    assert "is a directory" in done.output


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (label, "eval OUT DATA --markdown FILE --json FILE"),
        (label, "eval OUT DATA --markdown FILE --parquet FILE"),
        (label, "inspect OUT 0 --png FILE --json FILE"),
        (label, "fit-probability OUT DATA --dest FILE --json FILE"),
        (train, "budget DATA --dest FILE --json FILE"),
    ],
)
def test_one_file_for_two_results_is_refused(group, words, tmp_path):
    """The later would replace the earlier."""
    names = words.replace("FILE", "same", 1).replace("FILE", "./same").split()
    with CliRunner().isolated_filesystem(tmp_path):
        result = CliRunner().invoke(group, names, catch_exceptions=False)
    assert result.exit_code == 2
    assert f"same is the file of {names[-4]} too" in result.output
