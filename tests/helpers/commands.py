"""The command line in this process, and checks of its output."""

from click.testing import CliRunner
from filelock import FileLock, Timeout

from pipelines.cli.label import main


def label(*arguments):
    """Run pointsam-label; an exception other than the command's exit (a traceback for the user) fails the test."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def refused(result, code, *names, status=2):
    """Check the exit status, the code of the error, the named things, and a hint."""
    assert result.exit_code == status, result.output
    assert f"error [{code}] " in result.output
    for name in names:
        assert str(name) in result.output
    _, _, hint = result.output.partition("\n  hint: ")
    assert hint.strip()


def is_locked(folder):
    """Whether the folder is locked by another call."""
    try:
        with FileLock(folder / ".lock").acquire(timeout=0):
            return False
    except Timeout:
        return True


def watch_lock(monkeypatch, module, folder_of):
    """A list that records, at each call of a module's `write_together`, whether the folder was locked."""
    write, held = module.write_together, []

    def watched(files):
        held.append(is_locked(folder_of(files)))
        write(files)

    monkeypatch.setattr(module, "write_together", watched)
    return held


def tables(out):
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.glob("*/scene=*/*.parquet"))}


def temporaries(out):
    return [path for path in out.rglob("*") if path.name.endswith(".tmp")]
