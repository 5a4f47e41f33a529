"""scripts/gpu_check.py on a CPU: each part, what it says of a difference, and its exit status."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.training import make_world  # noqa: E402
from helpers.triton_twin import TWIN  # noqa: E402

from pointsam.detect.data.sample import PointsConfig  # noqa: E402
from pointsam.detect.nets import sparse_triton  # noqa: E402
from pointsam.masks import SegmentConfig  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("gpu") / "root").root


@pytest.fixture
def script(monkeypatch):
    """The script, with one recipe of each kind of encoder."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import gpu_check

    for name in set(gpu_check.HALF_M) - {gpu_check.PILLARS}:
        monkeypatch.delitem(gpu_check.HALF_M, name)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
    return gpu_check


@pytest.fixture
def check(script, world, tmp_path, monkeypatch):
    """A function that checks some parts on the CPU, and returns the exit status and the report."""

    def call(parts, *more):
        words = ["--device", "cpu", "--world", world, "--report", tmp_path / "gpu.md", "--parts", parts, *more]
        monkeypatch.setattr(sys, "argv", ["gpu_check", *map(str, words)])
        return script.main(), (tmp_path / "gpu.md").read_text()

    return call


def test_without_a_gpu_nothing_is_checked(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--report", str(tmp_path / "gpu.md")])
    assert script.main() == 2
    assert "no CUDA device: nothing is checked" in capsys.readouterr().out
    assert not (tmp_path / "gpu.md").exists()


def test_a_cpu_equals_itself(check):
    status, report = check("losses,predictions,repeats,speed,sparse")
    assert status == 0
    assert "3 of 3 checks hold" in report
    assert "| synthetic-small | 0.0e+00 | 0.0e+00 | 0.0e+00 |" in report
    assert "| synthetic-small | off | yes |" in report
    assert "| detector.sparse=triton needs a GPU" in report
    assert f"| torch | {torch.__version__} |" in report


def test_masks_of_a_cpu_equal_themselves_and_others_do_not(check, monkeypatch):
    status, report = check("masks")
    assert status == 0
    assert "2 of 2 checks hold" in report
    assert "| float32 | 1.0000 | 1.0000 | yes |" in report
    assert "| float32 | 1 | network |" in report
    import gpu_masks

    real = gpu_masks.load_segmenter

    def other(name, **options):
        return real(name, **options | {"config": SegmentConfig(mask_threshold=6.0)} if options else options)

    monkeypatch.setattr(gpu_masks, "load_segmenter", other)
    status, report = check("masks")
    assert status == 1
    assert "| masks of boxes, float32 | **no** | mean IoU 0." in report


def test_a_difference_is_found(check, script, monkeypatch):
    trainer = script.Setup.trainer

    def wrong(self, recipe, device=None):
        made = trainer(self, recipe, device)
        if device is None:
            with torch.no_grad():
                for parameter in made.model.head.parameters():
                    parameter.add_(0.01)
        return made

    monkeypatch.setattr(script.Setup, "trainer", wrong)
    status, report = check("losses")
    assert status == 1
    assert "| losses of synthetic-small, fp32 | **no** |" in report


@pytest.mark.parametrize("counts", [(1, 2), (2, 1)])
def test_a_box_that_only_one_of_them_finds_is_a_difference(counts, script, monkeypatch):
    def frame(count):
        boxes = np.arange(7.0) + np.arange(0, 9 * count, 9)[:, None]
        return SimpleNamespace(boxes=boxes, score=np.ones(count), class_id=np.zeros(count))

    found, verdicts = iter([[frame(count)] for count in counts]), []
    monkeypatch.setattr(script, "detect_frames", lambda *_: next(found))
    recipe = SimpleNamespace(data=SimpleNamespace(points=PointsConfig()))
    trainer = SimpleNamespace(recipe=recipe, model=SimpleNamespace(to=lambda device: None))
    report = SimpleNamespace(table=lambda *_: [], verdict=lambda *words: verdicts.append(words))
    dataset = SimpleNamespace(frame_ids=lambda: ["a"])
    script.predictions(SimpleNamespace(report=report, dataset=dataset, trained={"it": trainer}, device="cuda"))
    assert verdicts == [("predictions of it", False, "2 of 3 boxes")]


def test_a_part_that_fails_is_reported_and_the_others_go_on(check, script, monkeypatch):
    def broken(_):
        raise RuntimeError("out of memory")

    monkeypatch.setitem(script.PARTS, "losses", broken)
    status, report = check("losses,speed")
    assert status == 1
    assert "| losses can be checked | **no** | RuntimeError: out of memory |" in report
    assert "## Speed, bf16" in report


def test_the_time_is_limited(check):
    status, report = check("losses,speed", "--seconds", "0.01")
    assert status == 1
    assert "| losses can be checked | not done | no time is left |" in report
    assert "| speed can be checked | not done |" in report


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"--report": "nowhere/gpu.md"}, "No such file or directory: 'nowhere/gpu.md'"),
        ({"--world": "nowhere"}, "nowhere"),
        ({"--world": "."}, "[DAT"),
    ],
)
def test_what_cannot_be_used_is_named_first(options, told, script, world, tmp_path, monkeypatch, capsys):
    given = {"--device": "cpu", "--world": world, "--report": "gpu.md", "--parts": "losses"} | options
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gpu_check", *(str(part) for pair in given.items() for part in pair)])
    assert script.main() == 2
    said = capsys.readouterr().out
    assert said.startswith("nothing is checked: ")
    assert told in said
    assert not (tmp_path / "gpu.md").exists()


def test_an_unknown_part_is_named(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--device", "cpu", "--parts", "losses,sped"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 2
    assert "no part 'sped': --parts takes losses,predictions," in capsys.readouterr().err


def test_the_report_of_a_check_that_is_stopped_has_the_parts_that_ended(check, script, monkeypatch, capsys):
    def stopped(_):
        raise KeyboardInterrupt

    monkeypatch.setitem(script.PARTS, "losses", lambda check: check.report.verdict("losses", True))
    monkeypatch.setitem(script.PARTS, "speed", stopped)
    status, report = check("losses,speed")
    assert status == 130
    assert "| losses | yes |" in report
    assert "stopped; the parts that ended are in" in capsys.readouterr().out


def test_triton_is_compared_with_torch(check, script, monkeypatch):
    monkeypatch.setattr(sparse_triton, "kernels_on", lambda device: TWIN)
    monkeypatch.setitem(script.HALF_M, script.VOXELS, (14.4, 2.4))
    monkeypatch.delitem(script.LIMITS, "fp32")
    monkeypatch.setattr(script, "repeated", lambda *_: (True, 1.0))  # run by another test
    status, report = check("sparse")
    assert status == 0
    assert "| triton and torch, nuscenes-centerpoint-voxel, bf16 | yes |" in report


TRAINER = """\
for out; do :; done
mkdir -p "$out"
done=$(($(cat "$out/losses.csv" 2> /dev/null | wc -l) - 1))
[ $done -lt 0 ] && { echo step,loss,seconds > "$out/losses.csv"; done=0; }
while [ $done -lt 8 ]; do
  done=$((done + 1))
  echo "$done,LOSS,$$" >> "$out/losses.csv"
  sleep 0.1
done
"""


@pytest.mark.parametrize(("loss", "holds"), [("$done", "yes"), ("$$", "**no**")])
def test_a_killed_run_is_compared_with_a_whole_one(loss, holds, check, script, tmp_path, monkeypatch):
    """The trainer is a shell script, which writes eight losses."""
    trainer = tmp_path / "trainer"
    trainer.write_text("#!/bin/sh\n" + TRAINER.replace("LOSS", loss))
    trainer.chmod(0o755)
    monkeypatch.setattr(script, "sys", SimpleNamespace(executable=str(trainer)))
    status, report = check("resumes")
    assert status == (holds != "yes")
    assert "| a run is killed | yes | 2 times |" in report
    assert f"| it goes on to the losses of a run that was not | {holds} |" in report


@pytest.mark.heavy
def test_all_parts_and_recipes_by_the_command(world, tmp_path):
    command = [ROOT / "scripts" / "gpu_check.sh", "--device", "cpu", "--world", world, "--report", tmp_path / "gpu.md"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    done = subprocess.run([*map(str, command), "--seconds", "900"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = (tmp_path / "gpu.md").read_text()
    assert "14 of 14 checks hold" in report
    assert "| kitti-two-stage | 0.0e+00 |" in report
