"""Run the commands of README and docs on a small synthetic world.

    python scripts/run_docs.py [--work DIR]

Commands of blocks run as they are printed, page by page; a block that starts with `synth` starts in a new folder.
Placeholders such as DATA get a value, and commands that would take hours get a smaller size (`SMALLER`). Lines that
cannot run here are listed with the reason in `NOT_RUN`. Of commands within sentences, the names of the commands and of
their options are checked.

Prints every command with its exit status and duration. Exit status 1: a command failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click

from pipelines.cli.label import main as label
from pipelines.cli.train import main as train

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")), "docs/results/README.md")
PROGRAMS = {"pointsam-label": label, "mixsup-train": train}
FINISHED, QUARANTINED = 0, 3

VALUES = {
    "DATA": "world",
    "WORLD": "world",
    "DEST": "dest",
    "FRAME": "0",
    "FORMAT": "coco",
    "FILE": "budget.parquet",
    "RECIPE": "synthetic-small",
    "NAME": "supervision",
    "SEED": "0",
    "MASKS": "masks",
    "OTHER": "labels",
    "/data/nuscenes": "world",
    "/data/mine": "world",
}
"""Placeholders in commands, and their values."""

_SMALL_WORLD = "--scenes 3 --key-frames 2 --scale 0.2 --rig kitti --workers 1"
_SMALL_FIT = "--set train.epochs=1 --set train.batch_size=2 --set train.workers=0"
SMALLER = {
    "synth": _SMALL_WORLD,
    "run": "--workers 1",
    "masks": "--workers 1",
    "clusters": "--workers 1",
    "noise": "--workers 1 --seeds 1 --levels rotation=0.5 --sample 1",
    "fit": _SMALL_FIT,
    "eval RUN": "--workers 0",
    "predict": "--workers 0",
    "experiment": f"{_SMALL_FIT} --seeds 0 --only 0",
    "show": "--sample 1",
}
"""Options that are appended to a command, so that it is done in seconds."""

ONE_FRAME = (
    "docs/growth.md",
    "docs/looks.md",
    "docs/oracle.md",
    "docs/own_data.md",
    "docs/precomputed_masks.md",
    "docs/probability.md",
    "docs/robustness.md",
    "docs/synthetic.md",
)
"""Pages for which it is enough that `run` labels one frame."""

READY = {
    "docs/evaluation.md": ("OUT", "labels"),
    "docs/exports.md": ("OUT",),
    "docs/precomputed_masks.md": ("masks",),
    "docs/probability.md": ("OUT", "masks"),
    "docs/results/README.md": ("labels",),
}
"""Folders that the commands of a page need and do not make: labels, or masks that are exported from them."""

NOT_RUN = {
    "python scripts/tracks_quality.py TRACKING": "needs samples of KITTI tracking, which may not be shipped",
    "python scripts/ablate_recipes.py": "needs samples of nuScenes and KITTI, which may not be shipped",
    "python scripts/compare_ground.py": "needs samples of nuScenes, KITTI and Argoverse 2, which may not be shipped",
    "pointsam-label run TRACKING": "needs samples of KITTI tracking, which may not be shipped",
    "pointsam-label calibrate TRACKING": "the same",
    "pointsam-label clusters TRACKING": "the same",
    "pointsam-label eval mended TRACKING": "the same",
    "python scripts/recovered_calibration.py TRACKING": "the same",
    "pointsam-label run DATA --out OUT --semantics precomputed --masks-dir MASKS --mapping": "needs a mapping file",
    "pointsam-label fit-probability": "needs a hundred clusters: the tests have them",
    "pointsam-label clusters DATA --out new --masks-from labels --probability": "needs the file of fit-probability",
    "pointsam-label tracks DATA --out labels --probability": "the same",
    "pointsam-label init DATA --png": "needs a plain folder: docs/train_your_own.md runs it on one",
    "make ": "installs or runs the tests: .ci/run does both",
    "pip install": "installs",
    ".ci/run": "runs this script",
    "torchrun": "needs GPUs",
    "pointsam-label run DATA --out out --masks hf:": "needs the hub; tests/masks/test_hf.py has models of every kind",
}
"""Starts of lines that are not run, and why."""

ELSEWHERE = {
    "docs/folder.md": "tests/pipelines/labelling/test_init_folder.py runs its commands on a small folder",
    "docs/convert.md": "tests/convert and tests/pipelines/world/test_formats.py convert and label small roots",
    "docs/classes_hf.md": "tests/pipelines/labelling/test_hf_chain.py runs its commands with random networks",
    "docs/mapping.md": "tests/pipelines/test_own_classes_chain.py runs its commands with its mapping file",
    "docs/onnx.md": "tests/pipelines/labelling/test_onnx_chain.py runs its commands with a model",
    "docs/torchvision.md": "tests/pipelines/labelling/test_torchvision_chain.py runs its commands with random weights",
}
"""Pages whose commands are not run, and why."""


def main() -> None:
    """Run all pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, help="folder to work in  [default: a temporary one]")
    parser.add_argument("--jobs", type=int, default=2, help="pages at once  [default: 2]")
    parser.add_argument("--pages", nargs="*", default=PAGES, help="pages to run  [default: all]")
    args = parser.parse_args()
    wrong = [problem for page in args.pages for problem in inline_problems(page)]
    with tempfile.TemporaryDirectory() as scratch:
        work = (args.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        prepare(work)
        with ThreadPoolExecutor(args.jobs) as pool:
            pages = [page for page in args.pages if page not in ELSEWHERE]
            wrong += [problem for found in pool.map(partial(run_page, work=work), pages) for problem in found]
    for problem in wrong:
        print(problem)
    sys.exit(1 if wrong else 0)


def blocks(page: str) -> list[str]:
    """Fenced blocks of a page that are not Python, JSON or a layout of files."""
    fenced = re.findall(r"^```([^\n]*)\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for kind, block in fenced if kind in ("", "sh", "bash", "console")]


def chains(page: str) -> list[list[str]]:
    """The commands of a page's blocks, without comments and optional parts; each list runs in a folder of its own."""
    found = list[list[str]]([[]])
    for block in blocks(page):
        lines = block.replace("\\\n", " ").splitlines()
        if not any(line.split(" ", 1)[0] in (*PROGRAMS, "python") or _skipped(line) for line in lines):
            continue
        if lines[0].startswith("pointsam-label synth"):
            found.append([])
        for line in lines:
            text = re.sub(r"\s\[--[^\]]*\]", "", re.sub(r"\s+#.*$", "", line)).strip()
            if text and not _skipped(text):
                found[-1].append(text)
    return [chain for chain in found if chain]


def inline_problems(page: str) -> list[str]:
    """Commands within the sentences of a page that name an unknown command or option."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    problems = []
    for code in re.findall(r"`([^`]+)`", text):
        words = code.split()
        if words and words[0] in PROGRAMS:
            problem = _unknown(PROGRAMS[words[0]], words[1:])
            problems += [f"{page}: `{' '.join(words)}`: {problem}"] if problem else []
    return problems


def _unknown(command: click.Command, words: list[str]) -> str:
    """What a command line names that does not exist; "" if nothing."""
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        if name.isupper():  # `pointsam-label COMMAND --help`
            return ""
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in {*known, "--help"}]
    return f"no option {', '.join(unknown)}" if unknown else ""


def run_page(page: str, work: Path) -> list[str]:
    """Run the commands of a page; what failed."""
    failed = []
    for number, chain in enumerate(chains(page)):
        folder = work / f"{page.replace('/', '_')}.{number}"
        folder.mkdir()
        (folder / "world").symlink_to(work / "world")
        for name in READY.get(page, ()):
            shutil.copytree(work / ("masks" if name == "masks" else "labels"), folder / name)
        variables = dict[str, str]()
        for line in chain:
            assigned = re.fullmatch(r'([A-Z_]+)="(.*)"', line)
            if assigned:
                variables[assigned[1]] = assigned[2]
                continue
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            one_frame = page in ONE_FRAME and line.startswith("pointsam-label run ")
            command = smaller(line) + (" --sample 1" if one_frame else "")
            status, seconds, output = _call(command, folder)
            print(f"{page}: {status} in {seconds:.1f} s: {command}", flush=True)
            if status not in (FINISHED, QUARANTINED):
                failed.append(f"{page}: exit status {status}: {command}\n{output[-2000:]}")
    return failed


def prepare(work: Path) -> None:
    """Make the world, and labels and masks of it, that pages use."""
    for made, command in (
        ("world", f"pointsam-label synth world {_SMALL_WORLD}"),
        ("labels", "pointsam-label run world --out labels --semantics oracle --workers 1"),
        ("masks", "pointsam-label export labels world --to coco --dest masks"),
    ):
        if not (work / made).exists():
            status, _, output = _call(command, work)
            if status != FINISHED:
                sys.exit(f"{command}: exit status {status}\n{output}")


def smaller(line: str) -> str:
    """A command with values in place of placeholders, and with a smaller size."""
    words = [re.sub(r"[A-Z/][A-Za-z_/]*", lambda m: VALUES.get(m[0], m[0]), word) for word in shlex.split(line)]
    kinds = (f"{words[1]} RUN" if words[0] == "mixsup-train" else "", words[1]) if words[0] in PROGRAMS else ()
    return shlex.join(words + [word for kind in kinds for word in SMALLER.get(kind, "").split()])


def _call(command: str, folder: Path) -> tuple[int, float, str]:
    """Exit status, seconds and output of a command in a folder."""
    start_s = time.perf_counter()
    first, *rest = shlex.split(command)
    program = str(Path(sys.executable).with_name(first))
    rest = [str(ROOT / word) if word.startswith("scripts/") else word for word in rest]
    done = subprocess.run(
        [program, *rest],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    return done.returncode, time.perf_counter() - start_s, done.stdout


def _skipped(line: str) -> bool:
    return any(line.startswith(start) for start in NOT_RUN)


if __name__ == "__main__":
    main()
