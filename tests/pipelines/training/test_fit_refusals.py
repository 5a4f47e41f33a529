"""`mixsup-train fit` rejects inputs that do not fit together, with the file and a hint; it writes nothing."""

import json
import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_budget, make_labels, make_world  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.recipe_file import document_of  # noqa: E402
from pointsam.datasets.mapped import with_classes  # noqa: E402
from pointsam.detect.data.budget import Budget, ClassCounts  # noqa: E402
from pointsam.detect.data.budget_file import read_budget, write_budget  # noqa: E402
from pointsam.taxonomy import ClassSpec, Taxonomy  # noqa: E402


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("refusals") / "root", scenes=("scene-0061", "scene-0103"))


@pytest.fixture
def fit(world, tmp_path):
    """A function that calls `fit` on the labels in tmp_path, and on the budget there or else a valid one."""

    def call(*more, labels="labels", kind="center-pillar"):
        if not (tmp_path / "budget.parquet").exists():
            write_budget(tmp_path / "budget.parquet", make_budget(world))
        (tmp_path / "tiny.json").write_text(json.dumps(document_of(tiny(kind, epochs=1))))
        paths = ["--data", world.root, "--budget", tmp_path / "budget.parquet", "--out", tmp_path / "run"]
        paths += ["--labels", tmp_path / labels] if labels else []
        arguments = [str(part) for part in ("fit", tmp_path / "tiny.json", *paths, "--val", "mini_val", *more)]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0 or not (tmp_path / "run").exists()
        return result

    return call


def hint(result):
    return result.output.partition("\n  hint: ")[2]


def test_labels_of_a_noise_run_unless_one_studies_noise(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world, noise="rotation 1 deg")
    result = fit()
    refused(result, "SCH003", tmp_path / "labels", "perturbed calibration (rotation 1 deg)")
    assert "--allow-noise" in hint(result)
    assert fit("--allow-noise", "--dry-run").exit_code == 0


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_triton_without_a_gpu(more, fit):
    """Before the inputs are opened: this recipe needs labels, which are missing."""
    result = fit("--set", "detector.sparse=triton", *more, labels=None, kind="center-voxel")
    refused(result, "BCK006", "detector.sparse=triton needs a GPU")
    assert "detector.sparse=torch" in hint(result)


@pytest.mark.parametrize(
    "classes",
    [
        lambda classes: classes[:9],
        lambda classes: (*classes, ClassSpec("animal")),
        lambda classes: (replace(classes[0], name="auto"), *classes[1:]),
    ],
    ids=["fewer", "more", "another name"],
)
def test_a_budget_of_other_classes_than_those_of_the_labels(classes, fit, world, tmp_path):
    make_labels(tmp_path / "labels", world, taxonomy=Taxonomy("other", classes(world.taxonomy.classes)))
    result = fit()
    refused(result, "SCH003", tmp_path / "budget.parquet", "by the classes barrier, bicycle")
    assert "budget DATA --mapping FILE" in hint(result)


def test_classes_in_another_order(fit, world, tmp_path):
    turned = Taxonomy("turned", world.taxonomy.classes[::-1])
    make_labels(tmp_path / "labels", with_classes(world, turned))
    result = fit("--dry-run")
    assert result.exit_code == 0, result.output
    assert "bicycle" in result.stdout


def test_labels_of_another_data_set(fit, world, tmp_path):
    make_labels(tmp_path / "labels", make_world(tmp_path / "other", scenes=("scene-0553",), samples=2))
    result = fit()
    refused(result, "SCH004", tmp_path / "labels", world.root, "another data set (nuscenes)")
    assert f"pointsam-label run {world.root}" in hint(result)


def budget_without(world, gone, objects):
    """A budget without boxes of one class, whose data have so many objects of it."""
    every = make_budget(world, 1.0)
    kept = {
        frame_id: {
            token: every.frames[frame_id][token]
            for token, class_id in zip(world.boxes(frame_id).token, world.boxes(frame_id).class_id, strict=True)
            if token in every.frames[frame_id] and class_id != world.taxonomy.class_id(gone)
        }
        for frame_id in every.frames
    }
    classes = {**every.description.classes, gone: ClassCounts(objects, 0)}
    return Budget(kept, replace(every.description, classes=classes))


@pytest.mark.parametrize("kind", ["center-pillar", "second"])
@pytest.mark.parametrize("objects", [0, 8])
def test_a_class_without_a_box_in_the_budget(objects, kind, fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    write_budget(tmp_path / "budget.parquet", budget_without(world, "bicycle", objects))
    result = fit("--dry-run", kind=kind)
    assert result.exit_code == 0, result.output
    warning = f"warning: not trained, because {tmp_path / 'budget.parquet'} has no usable box of them: bicycle"
    assert result.stderr.count(warning) == 1
    assert ("--rule class draws boxes of bicycle" in result.stderr) == (objects > 0)
    assert "bicycle" not in result.stdout


def test_boxes_that_are_all_outside_of_the_grid_are_named(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    high = "detector.grid.range_m=[-25.6,-25.6,-50,25.6,25.6,-42]"  # as with a LiDAR that stands far too high
    result = fit("--dry-run", "--set", high)
    assert result.exit_code == 0, result.output
    assert "warning: boxes are outside of the detector's grid" in result.stderr
    assert re.search(r"car \((\d+) of \1 boxes\)", result.stderr)
    assert "check this range, and the height of the LiDAR above ground" in result.stderr
    assert re.search(r"^car .* 0 of \d+$", result.stdout, re.MULTILINE)
    assert "warning: of 8 frames that were read, 0% of the points are inside" in result.stderr
    assert "warning: boxes" not in fit("--dry-run").stderr


@pytest.mark.parametrize("groups", ['[["car"],[]]', "[[]]", "[]", '[["car"],["car"]]'])
def test_a_head_without_a_class(groups, fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    refused(fit("--set", f"detector.head.groups={groups}"), "SCH005", "detector.head.groups is ")


def test_no_class_of_the_recipe_in_the_budget(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    write_budget(tmp_path / "budget.parquet", budget_without(world, "car", 8))
    result = fit("--set", 'detector.head.groups=[["car"]]')
    refused(result, "SCH005", "holds no box of: car")
    assert "--rule class, or use a recipe of other classes" in hint(result)


def test_a_frame_without_labels(fit, world, tmp_path):
    first, second, *labelled = world.frame_ids()
    make_labels(tmp_path / "labels", world, labelled)
    result = fit()
    refused(result, "SCH003", tmp_path / "labels", "no labels of 2 of the budget's 8 frames", first)
    assert second not in result.output
    assert f"pointsam-label run {world.root} --out {tmp_path / 'labels'}" in hint(result)


def test_no_labels_at_all(fit):
    result = fit(labels=None)
    refused(result, "SCH005", "the recipe needs labels")
    assert "--labels" in hint(result)


def test_a_budget_of_another_data_set(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    budget = make_budget(world)
    frames = budget.frames
    frame_id = next(frame_id for frame_id, boxes in frames.items() if boxes)
    write_budget(tmp_path / "budget.parquet", Budget({**frames, frame_id: {"alien": None}}, budget.description))
    result = fit()
    refused(result, "SCH003", world.root, frame_id, "'alien'")
    assert "draw it from this data set" in hint(result)


def test_boxes_of_classes_that_the_recipe_does_not_have_are_counted(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    write_budget(tmp_path / "budget.parquet", make_budget(world))
    counts = {name: drawn.boxes for name, drawn in read_budget(tmp_path / "budget.parquet").description.classes.items()}
    others = ", ".join(f"{name} {count}" for name, count in counts.items() if count and name != "car")
    assert others
    result = fit("--dry-run", "--set", 'detector.head.groups=[["car"]]')
    assert result.exit_code == 0, result.output
    note = "that are not trained, because the recipe has no such class"
    assert f"note: boxes of {tmp_path / 'budget.parquet'} {note}: {others}\n" in result.stderr


@pytest.mark.parametrize("dry", [True, False])
def test_validation_frames_in_the_budget_are_counted(dry, fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    more = ["--dry-run"] if dry else []
    warning = "4 of 4 validation frames are in the budget: they are trained on, so their scores are too good; draw the "
    warning = f"warning: {warning}budget with --split train\n"
    result = fit(*more)
    assert result.exit_code == 0, result.output
    assert result.stderr.count(warning) == 1
    assert ("Warning: 4 of 4 validation frames" in result.stdout) == (not dry)  # with the scores, too
    every = make_budget(world)
    kept = {frame_id: every.frames[frame_id] for frame_id in world.frame_ids("mini_train")}
    write_budget(tmp_path / "budget.parquet", Budget(kept, every.description))
    assert "validation frame" not in fit(*more, "--out", tmp_path / "run2").stderr


def test_what_has_no_effect_is_named(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    unused = "warning: --labels has no effect, because data.coarse.kind of the recipe is 'none'"
    pasted = "warning: no objects are pasted, because data.paste.off_last_epochs is 1 and train.epochs 1"
    result = fit("--dry-run", "--set", "data.coarse.kind=none", "--set", "train.epochs=1")
    assert unused in result.stderr
    assert pasted in result.stderr
    result = fit("--dry-run", "--set", "train.epochs=2")
    assert "has no effect" not in result.stderr
    assert "pasted" not in result.stderr


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_too_few_samples_for_a_step(more, fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    result = fit("--set", "train.batch_size=9", *more)
    refused(result, "TRN002", "8 samples per epoch, too few for a step of batch size 9 in 1 process")
    assert "--set train.batch_size=N" in hint(result)


def test_a_checkpoint_without_its_document_is_no_run_to_go_on_with(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    assert fit().exit_code == 0
    held = (tmp_path / "run").rename(tmp_path / "held")
    (held / "fit.json").unlink()
    for more in ((), ("--set", "train.learning_rate=0.5"), ("--dry-run",)):
        result = fit("--out", held, *more)
        refused(result, "OUT001", "last.safetensors but no fit.json")
        assert "--init" in hint(result)


def test_a_dry_run_looks_at_the_folder(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    refused(fit("--dry-run", "--out", tmp_path / "tiny.json"), "OUT003", "tiny.json is a file")


def test_frames_to_validate_of_the_training_split_are_not_mended_by_drawing_from_it(fit, world, tmp_path):
    make_labels(tmp_path / "labels", world)
    result = fit("--dry-run", "--val", "mini_train")
    assert "are in the budget: they are trained on" in result.stderr
    assert "validate on frames of another split (--val)" in result.stderr
