"""The command line in this process, and what its output folder holds."""

from click.testing import CliRunner
from filelock import FileLock, Timeout

from pipelines.cli.label import main


def label(*arguments):
    """An exception that is not the command's own exit, hence a traceback to the user, fails the test."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def refused(result, code, *names):
    """Exit code 2, the error's code, what is named, and a way out."""
    assert result.exit_code == 2, result.output
    assert f"error [{code}] " in result.output
    for name in names:
        assert str(name) in result.output
    _, _, hint = result.output.partition("\n  hint: ")
    assert hint.strip()


def is_locked(folder):
    """Whether another call would have to wait for the folder."""
    try:
        with FileLock(folder / ".lock").acquire(timeout=0):
            return False
    except Timeout:
        return True


def watch_lock(monkeypatch, module, folder_of):
    """Whether another call would have to wait, of each call of a module's `write_together`; gathered as they come."""
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
