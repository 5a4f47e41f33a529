"""`pointsam-label fit-probability`: fits the probability of clusters to labels with ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.data import AS_FOUND, Reading
from pipelines.documents import ClustersDocument
from pipelines.opened import open_run
from pointsam.base.config import assignments
from pointsam.base.document import document_bytes
from pointsam.base.files import require_free, write_together
from pointsam.base.remote import DataPath
from pointsam.base.tables import Table, without_nan
from pointsam.base.words import counted
from pointsam.calibration.perturb import CLEAN
from pointsam.evaluate.fit_probability import FittedProbability, JudgedClusters, fit_probability
from pointsam.stages.probability import FEATURES, TRACKED_FEATURES
from pointsam.stages.recipes import RECIPES
from pointsam.store.reader import LabelStage


@dataclass(frozen=True)
class FitReport:
    """What the command prints.

    Args:
        dest: the file that was written.
        fitted: the probability, and its reliability before and after.
        classes: number of clusters by class.
        notes: what of the labels and the ground truth was left out, and why.
        again: words of the command that makes the labels of the folder again with this probability, with all options
            but the paths of masks in another folder (MASKS) and of a calibration file (FILE). Tracks that are there
            must be deleted first.
    """

    dest: Path
    fitted: FittedProbability
    classes: Mapping[str, int]
    notes: tuple[str, ...]
    again: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        about = {"dest": str(self.dest), "classes": dict(self.classes), "notes": self.notes, "again": self.again}
        return without_nan({**asdict(self.fitted), **about})

    def text(self) -> str:
        """For the terminal."""
        on, before, after = self.fitted.model.fitted_on, self.fitted.before, self.fitted.after
        rows = [
            (name, one.num_clusters, one.ece, one.ece_low, one.ece_high, one.ece_chance, one.brier, one.auroc)
            for name, one in (("in the labels", before), (f"fitted, other {after.unit}", after))
        ]
        header = ("probability", "clusters", "ECE", "low", "high", "if exact", "Brier", "AUROC")
        about = (
            f"{counted(on.clusters, 'cluster')} of {counted(on.scenes, 'scene')}, {on.right} with an IoU above 0.5. "
            f"Fitted, other {after.unit}: each cluster is scored by a fit to the others"
        )
        spans = {one.name: max(one.values) - min(one.values) for one in self.fitted.model.features}
        listed = ", ".join(f"{name} {spans[name]:.2f}" for name in sorted(spans, key=lambda name: -spans[name]))
        notes = [f"largest change of the logit by each feature: {listed}"]
        if self.fitted.left_out:
            notes.append(f"without effect: {', '.join(self.fitted.left_out)}")
        missing = [name for name, count in self.classes.items() if not count]
        if missing:
            notes.append(f"no cluster of {', '.join(missing)}: their probability rests on clusters of other classes")
        notes += [f"note: {note}" for note in self.notes]
        return "\n".join([Table(about, header, rows).text(), *notes, f"wrote {self.dest}"])


def run_fit_probability(
    out: Path,
    data: DataPath,
    dest: Path,
    split: str | None = None,
    overwrite: bool = False,
    reading: Reading = AS_FOUND,
    mapping: Path | None = None,
    stage: LabelStage = "clusters",
) -> FitReport:
    """Fit a probability to the labels of a folder, and write its file.

    Args:
        out: the output folder.
        data: root of its data set, which holds the ground truth.
        dest: the file.
        split: split or scene of the frames to use, None for all frames of the labels.
        overwrite: replace an existing file.
        reading: how the data set is read; what is left out is as in the run.
        mapping: a mapping file whose `truth` is used in place of the run's.
        stage: the stage of the labels that it is for.

    Raises:
        StoreError: OUT003 if the file exists or cannot be written.
        NothingToScoreError, SchemaError, DatasetError: as `JudgedClusters.add_labels` and `fit_probability`, and what
            `open_run` raises.
    """
    require_free(dest, overwrite)
    run = open_run(out, data, reading=reading, mapping=mapping, stage=stage)
    found = JudgedClusters(names=FEATURES if stage == "clusters" else TRACKED_FEATURES)
    found.add_labels(run.labels, run.truth, out.resolve().name, split)
    fitted = fit_probability(found)
    write_together([(dest, document_bytes(fitted.model, indent=1, sort_keys=False))])
    if stage == "tracks":
        tracks = ("tracks", data, "--out", out, "--probability", dest, *reading.words())
        return FitReport(dest, fitted, found.classes, tuple(found.notes), tuple(map(str, tracks)))
    masks = out if "masks" in run.labels.stages else "MASKS"
    again = ("clusters", data, "--out", "NEW", "--masks-from", masks, "--probability", dest, *reading.words())
    again += tuple(_options(run.labels.document(ClustersDocument)))
    return FitReport(dest, fitted, found.classes, tuple(found.notes), tuple(map(str, again)))


def _options(made: ClustersDocument) -> list[str]:
    """The options that clusters were made with."""
    recipe = made.recipe if made.recipe in RECIPES else "default"
    words = [] if recipe == "default" else ["--recipe", recipe]
    for text in assignments(asdict(RECIPES[recipe]().clusters), asdict(made.config), "clusters."):
        words += ["--set", text]
    for text in assignments(asdict(CLEAN), asdict(made.noise or CLEAN)):
        words += ["--noise", text]
    return words if made.calibration is None else [*words, "--calibration", "FILE"]
