"""What scripts/gpu_check.py checks with, a small world, recipes and trainers, and the report that it writes."""

import subprocess
import sys
from dataclasses import replace
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from shutil import which

import torch

from pipelines.training.budget import objects_of
from pipelines.training.recipe_file import load_recipe
from pointsam.base.hardware import hardware
from pointsam.base.runtime import cores
from pointsam.base.tables import Table
from pointsam.datasets import open_dataset
from pointsam.detect.data.budget import BudgetConfig, sample_budget
from pointsam.detect.data.coarse import CoarseConfig
from pointsam.detect.data.loader import cut_bank
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.nets.grid import Grid
from pointsam.detect.train import Trainer

HERE = Path(__file__).resolve().parents[1]
PILLARS, SECOND = "synthetic-small", "synthetic-small-second"
VOXELS, TWO_STAGE = "nuscenes-centerpoint-voxel", "kitti-two-stage"
HALF_M = {PILLARS: (25.6, 6.4), SECOND: (25.6, 6.4), VOXELS: (14.4, 4.8), TWO_STAGE: (16.0, 4.8)}
"""Half the side of the grid on which a GPU is compared with a CPU, and on which --device cpu runs."""


class Setup:
    """What all parts use: data, recipes, trainers, and the report.

    Args:
        args: options of the command line.
        folder: an empty folder.
    """

    def __init__(self, args, folder):
        self.device, self.folder, self.tiny = args.device, folder, args.device == "cpu"
        self.report = Report(args.report, args.device)
        self.report.require_writable()
        self.steps = 2 if self.tiny else 20
        self.world = (args.world or made_world(folder / "world")).resolve()
        self.dataset = open_dataset(self.world)
        objects = objects_of(self.dataset, None, count=True)
        self.budget = sample_budget(objects, self.dataset.taxonomy.names, BudgetConfig(0.5))
        self.banks, self.trained = {}, {}

    def recipe(self, name, small=True, batch=2, precision="fp32", **detector):
        """A recipe for the world: half of the boxes, and simulated clusters for the others."""
        recipe = load_recipe(name)
        points, paste = recipe.data.points, recipe.data.paste
        if name == TWO_STAGE:  # other classes than KITTI's, no road planes, no levels of difficulty
            recipe = recipe.for_classes(self.dataset.taxonomy.classes)
            points = replace(points, in_view_only=False, intensity_full=255.0)
            paste = replace(recipe.data.paste, road="none", rated_only=False)
        parts = recipe.detector
        if small:
            half, (low, high) = HALF_M[name][self.tiny], parts.grid.range_m[2::3]
            grid, head = Grid((-half, -half, low, half, half, high), parts.grid.voxel_m), parts.head
            parts = replace(parts, grid=grid, head=replace(head, score_threshold=0.01))
        data = replace(recipe.data, points=points, paste=paste, coarse=CoarseConfig("simulated"))
        workers = 0 if self.tiny else 4 if small else max(1, min(12, cores() - 2))
        train = replace(recipe.train, batch_size=batch, precision=precision, workers=workers)
        return replace(recipe, detector=replace(parts, **detector), data=data, train=train)

    def trainer(self, recipe, device=None):
        """A trainer at its first step; the objects to paste are cut once for each recipe."""
        names, range_m = recipe.detector.class_names, recipe.detector.grid.range_m
        data = TrainingSet(self.dataset, self.budget, None, names, range_m, recipe.data, recipe.train.seed)
        if (key := (recipe.name, range_m)) not in self.banks:
            self.banks[key] = cut_bank(data, recipe.train.workers)
        data.bank = self.banks[key]
        return Trainer(recipe.without(data.missing), data, self.dataset.taxonomy, torch.device(device or self.device))


def made_world(root):
    """Make a small synthetic world."""
    options = ("--scenes", "4", "--key-frames", "6", "--scale", "0.1")
    command = [sys.executable, "-m", "pipelines.cli.label", "synth", str(root), *options]
    if subprocess.run(command, cwd=HERE, check=False).returncode:
        print(f"no world: make one elsewhere (pointsam-label synth ROOT {' '.join(options)}), and give --world ROOT")
        sys.exit(2)
    return root


class Report:
    """A report, which is printed as it grows.

    Args:
        path: file of the report.
        device: "cuda" or "cpu".
    """

    def __init__(self, path, device):
        self.path, self.device, self.verdicts, self.tables = path, device, [], []

    @property
    def failed(self):
        """Number of checks that do not hold."""
        return sum(holds != "yes" for _, holds, _ in self.verdicts)

    def verdict(self, what, holds, found=""):
        """Add whether a check holds; None if it was not done."""
        word, said = ("not done", "NOT DONE") if holds is None else ("yes", "ok") if holds else ("**no**", "FAILED")
        self.verdicts.append((what, word, found))
        print(f"{said}: {what} {found}", flush=True)

    def table(self, title, header, note=""):
        """Add a table of results, and return its rows, which are still to be filled."""
        self.tables.append(Table(title, header, [], note))
        return self.tables[-1].rows

    def require_writable(self):
        """Try the file before minutes of work.

        Raises:
            OSError: if it cannot be written.
        """
        self.path.open("ab").close()
        if not self.path.stat().st_size:
            self.path.unlink()

    def write(self):
        """Write the file."""
        rows = machine(self.device)
        held = f"{len(self.verdicts) - self.failed} of {len(self.verdicts)} checks hold."
        parts = [f"# Trainer and segmenter on {rows[0][1]}", f"{date.today()}, `scripts/gpu_check.sh`. {held}"]
        tables = (Table("Machine", ("", ""), rows), Table("Checks", ("", "holds", ""), self.verdicts), *self.tables)
        text = "\n\n".join((*parts, *(table.markdown() for table in tables)))
        self.path.write_text(text + "\n", encoding="utf-8")


def machine(device):
    """Names and versions; the device first."""
    known = {package.metadata["Name"]: package.version for package in distributions()}
    packages = [(name, known[name]) for name in ("triton", "spconv-triton", "numpy") if name in known]
    rows = [("device", "a CPU"), ("host", hardware()), ("torch", torch.__version__), *packages]
    if device == "cuda":
        about, driver = torch.cuda.get_device_properties(0), "unknown"
        if which("nvidia-smi"):
            query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
            driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
        rows[0] = ("device", f"{about.name}, {about.total_memory / 2**30:.0f} GB, {about.major}.{about.minor}")
        rows.append(("driver, CUDA, cuDNN", f"{driver}, {torch.version.cuda}, {torch.backends.cudnn.version()}"))
    return rows
