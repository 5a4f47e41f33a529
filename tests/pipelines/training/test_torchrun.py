"""Two processes train together and write one run folder."""

import csv
import json
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_budget, make_labels, make_world  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training import run_folder  # noqa: E402
from pipelines.training.recipe_file import document_of  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.detect.data.budget_file import write_budget  # noqa: E402


@pytest.fixture
def arguments(tmp_path):
    """Arguments of `mixsup-train` for a run of one epoch into tmp_path/run."""
    world = make_world(tmp_path / "root", scenes=("scene-0061", "scene-0103"))
    make_labels(tmp_path / "labels", world)
    write_budget(tmp_path / "budget.parquet", make_budget(world))
    (tmp_path / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1))))
    names = {"data": "root", "labels": "labels", "budget": "budget.parquet", "out": "run"}
    paths = [part for option, name in names.items() for part in (f"--{option}", str(tmp_path / name))]
    return ["fit", str(tmp_path / "tiny.json"), *paths, "--val", "mini_val"]


def require_one_run(folder, said):
    assert said.count("AP by centre distance") == 1
    assert said.count("next: ") == 1
    steps = [row["step"] for row in csv.DictReader((folder / "losses.csv").open())]
    assert steps == ["1", "2"]  # eight frames, two in each of two processes
    assert (folder / "best.safetensors").exists()


def _process(rank, port, arguments, queue):
    torch.set_num_threads(1)
    group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in group.items()})
    result = CliRunner().invoke(main, arguments)
    queue.put((result.exit_code, result.stdout, result.output))


def in_two_processes(port, *arguments):
    """Exit status, standard output and all output of `mixsup-train` in each of two processes.

    Args:
        port: a free port.
        arguments: the arguments of both, or those of each.
    """
    context = torch.multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [
        context.Process(target=_process, args=(rank, port, arguments[rank % len(arguments)], queue), daemon=True)
        for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    try:
        return [queue.get(timeout=120) for _ in workers]
    finally:
        for worker in workers:
            worker.join(30)
            worker.kill()


def test_two_processes_train_and_one_writes(arguments, free_port, tmp_path, monkeypatch):
    """One cuts the paste bank, and the other reads it."""
    cut = run_folder.cut_bank
    monkeypatch.setattr(
        run_folder, "cut_bank", lambda *given: [(tmp_path / f"cut {os.environ['RANK']}").touch(), cut(*given)][1]
    )
    done = in_two_processes(free_port, arguments)
    assert [code for code, *_ in done] == [0, 0], done
    require_one_run(tmp_path / "run", "".join(said for _, said, _ in done))
    assert [path.name for path in tmp_path.glob("cut *")] == ["cut 0"]


def test_nodes_with_folders_of_their_own_do_not_go_on_from_other_states(arguments, free_port, tmp_path):
    """Only the first process writes, so that the folder of the other one is empty when the run goes on."""
    arguments = [*arguments, "--set", "train.batch_size=4"]
    alone = CliRunner().invoke(main, arguments)
    assert alone.exit_code == 0, alone.output
    own = [*arguments, "--set", "train.epochs=2", "--changed", "--out"]
    done = in_two_processes(free_port, [*own, str(tmp_path / "run")], [*own, str(tmp_path / "other")])
    assert [code for code, *_ in done] == [2, 2], done
    for *_, said in done:
        assert "OUT001" in said
        assert "step: 2 in process 0, 0 in process 1" in said
        assert "on a disk that they share" in said


def test_processes_with_other_frames_are_refused(arguments, free_port, tmp_path):
    """A labelling run that is not the same on both nodes: one frame more is quarantined."""
    world = NuScenes(tmp_path / "root")
    make_labels(tmp_path / "less", world, failed=world.frame_ids()[:1])
    done = in_two_processes(free_port, arguments, [*arguments, "--labels", str(tmp_path / "less")])
    assert [code for code, *_ in done] == [2, 2], done
    assert all("SCH004" in said and "have other samples: samples: " in said for *_, said in done), done


@pytest.mark.heavy
def test_torchrun_starts_them(arguments, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*torchrun, "-m", "pipelines.cli.train", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    require_one_run(tmp_path / "run", result.stdout)
