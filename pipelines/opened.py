"""A finished run, opened together with its data set and checked to belong to it."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pipelines.data import AS_FOUND, DataSpec, Reading
from pipelines.documents import ClustersDocument, LooksDocument, MasksDocument, TracksDocument
from pipelines.made_by import note_other_code
from pipelines.stored_masks import StoredMasks
from pointsam.base.errors import CalibrationError, DatasetError, SchemaError
from pointsam.base.remote import DataPath, is_folder
from pointsam.base.words import counted
from pointsam.calibration.perturb import CLEAN
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.evaluate.labels import require_same_classes, require_same_data
from pointsam.semantics.mapping import load_mapping
from pointsam.store.document import by_scene
from pointsam.store.reader import Labels, LabelStage
from pointsam.store.sources import CLUSTERS, LOOKS, UNREAD, require_same_masks, require_unchanged
from pointsam.taxonomy import Taxonomy
from pointsam.types import FrameLabels


class OpenedRun:
    """A finished run with its data.

    Args:
        labels: reader of the folder with the clusters.
        data: the data that they were made from, as the run saw them.
        masks_folder: folder of the masks that they were made from.

    Attributes:
        labels: likewise.
        truth: the data set with its own calibration and the classes of the run, for ground truth and for metrics by
            camera and visibility.
        dataset: the data set with the noise and calibration of the run, for pictures and exports.

    Raises:
        SchemaError: SCH004 if the clusters were made from other data.
        DatasetError: what opening the data set raises.
    """

    def __init__(self, labels: Labels, data: DataSpec, masks_folder: Path) -> None:
        self.labels, self._masks_folder = labels, masks_folder
        self.truth: Dataset = data.plain()
        require_same_data(labels, labels.stage, self.truth)
        self.dataset: Dataset = data.seen(self.truth)

    @cached_property
    def masks(self) -> StoredMasks:
        """The masks that the clusters were made from. Masks of other folders have other ids.

        Raises:
            SchemaError: SCH004 if the folder holds no masks or other ones.
            StoreError: OUT004 if it is not an output folder.
        """
        folder = Labels(self._masks_folder)
        if "masks" not in folder.stages or folder.key("masks") != self.labels.document(ClustersDocument).masks_key:
            raise SchemaError(
                "SCH004",
                f"{folder.out} does not hold the masks that the clusters of {self.labels.out} were made from",
                "pass their folder with --masks-from",
            )
        return StoredMasks(self._masks_folder)

    def masks_of(self, found: FrameLabels) -> dict[str, list[tuple[bytes, int]]]:
        """Masks of a frame's clusters: camera -> (RLE, class_id) of each.

        Raises:
            SchemaError, StoreError: as `masks`.
            ChangedSourceError: DAT013 if the masks were made again since.
        """
        frame_id, masks = found.frame.frame_id, self.masks.labels
        require_same_masks(self.labels.sources("clusters", frame_id), masks.sources("masks", frame_id), frame_id)
        images = {camera: row.masks.rle for camera, row in masks.masks(frame_id).items()}
        if self._with_looks:
            looks = self.labels.looks(frame_id)
            images |= {camera: images[camera] + row.masks.rle for camera, row in looks.items()}
        return {
            camera: [
                (rle[mask_id], cluster.class_id)
                for cluster in found.clusters
                for name, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True)
                if name == camera
            ]
            for camera, rle in images.items()
        }

    @cached_property
    def _with_looks(self) -> bool:
        """Whether masks of second looks follow those of the first round."""
        if self.labels.stage == "tracks":
            return self.labels.document(TracksDocument).looks_key is not None
        return self.labels.stage == "looks"

    def require_unchanged(self, frame_id: str, images: bool = False) -> None:
        """Compare the files of a frame with those that its labels were made of.

        A frame that cannot be read is not compared.

        Args:
            frame_id: the frame.
            images: whether to compare the images and the masks too; else the sweeps only.

        Raises:
            ChangedSourceError: DAT013 naming the file.
            SchemaError, StoreError: as `masks`.
        """
        try:
            frame = read_frame(self.truth, frame_id)
        except (DatasetError, CalibrationError):  # what needs the frame reports it
            return
        made = self.labels.sources("clusters", frame_id)
        require_unchanged(made, frame, "clusters")
        if images:
            masks = self.masks.labels.sources("masks", frame_id)
            require_unchanged(masks, frame, "masks", lambda name: not name.startswith(UNREAD))
            require_same_masks(made, masks, frame_id)

    def folders(self) -> list[Path]:
        """Folders of this machine that hold the labels, their masks and their data, now and when the run was made."""
        roots = (self.truth.root, self.labels.data_root("clusters"))
        return [self.labels.out, self._masks_folder, *(root for root in roots if isinstance(root, Path))]


def open_run(
    out: Path,
    root: DataPath | None = None,
    masks_from: Path | None = None,
    reading: Reading = AS_FOUND,
    mapping: Path | None = None,
    noted: bool = False,
    stage: LabelStage | None = None,
) -> OpenedRun:
    """Open a finished run with its data and the calibration that it used.

    Args:
        out: output folder with clusters.
        root: root of the data set, None for its place when the run was made.
        masks_from: folder of the masks that the clusters were made from, None for `out`.
        reading: how the data set is read; what is left out is as in the run.
        mapping: a mapping file whose `truth` is used in place of the run's.
        noted: whether the caller has printed a note on other code already.
        stage: the stage whose labels are read, None for the last one that is finished (`label_stage`).

    Raises:
        StoreError: OUT004 if there are no clusters, or no labels of the stage.
        DatasetError: DAT001 if the data set is no longer there, DAT004 if its object store cannot be reached; and what
            opening it raises.
        SchemaError: SCH004 if the clusters were made from other data.
    """
    labels = Labels(out, label_stage(out, stage))
    data = data_of(labels, root, reading, mapping)
    if not noted:
        note_other_code(labels, labels.stage)
    return OpenedRun(labels, data, masks_from or out)


def label_stage(out: Path, stage: LabelStage | None = None) -> LabelStage:
    """The stage whose labels a command reads: the last one of the folder that is finished, if the user names none.

    Prints a note to stderr if it is not the first round, or if looks or tracks are there that cannot be used.

    Args:
        out: output folder.
        stage: the stage that the user names.

    Raises:
        StoreError: OUT004 if the folder does not have the stage.
    """
    labels = Labels(out)
    if stage is not None:
        labels.key(stage)
        return stage
    last = last_stage(labels)
    later = [(name, why) for name, why in (("tracks", stale_tracks), ("looks", stale_looks)) if name in labels.stages]
    for name, stale in later:
        if name == last:
            break
        read = "labels of the stage looks" if last == "looks" else "single-frame labels"
        print(f"note: {out}: {read} are read, because {stale(labels)}", file=sys.stderr)
    if last != "clusters":
        print(f"note: {out}: labels of the stage {last} are read (--stage clusters for those before)", file=sys.stderr)
    return last


def stage_words(stage: LabelStage | None) -> list[str]:
    """The words of a command line that name the stage of `label_stage`; none if it is left to the folder."""
    return [] if stage is None else ["--stage", stage]


def last_stage(labels: Labels) -> LabelStage:
    """The last stage of a folder that is finished: tracks, second looks, or the clusters of the first round."""
    if "tracks" in labels.stages and not stale_tracks(labels):
        return "tracks"
    return "looks" if has_looks(labels) else "clusters"


def has_looks(labels: Labels) -> bool:
    """Whether a folder has finished second looks of its clusters.

    Args:
        labels: reader of the folder, of any stage.
    """
    return "looks" in labels.stages and not stale_looks(labels)


def stale_looks(labels: Labels) -> str:
    """Why the second looks of a folder are not those of its clusters; empty if they are.

    Args:
        labels: reader of the folder, of any stage.
    """
    if labels.document(LooksDocument).clusters_key != labels.key("clusters"):
        return "its clusters are of another run than its second looks"
    left = labels.unfinished("looks")
    if left or len(labels.selection("looks")) != len(labels.selection("clusters")):
        return f"{counted(left, 'frame')} of its scenes were not looked at again yet (pointsam-label looks)"
    return _made_again(labels, "looks", CLUSTERS)


def _made_again(labels: Labels, stage: LabelStage, base: str) -> str:
    """Which labels were made again since a stage started from them; empty if none were."""
    for scene, frame_ids in by_scene(labels.selection(stage)).items():
        made_of: dict[str, list[str]] = {}  # one digest for a scene, or one for each shard of frames without times
        for frame_id in frame_ids:
            made_of.setdefault(labels.sources(stage, frame_id).get(base, ""), []).append(frame_id)
        if any(made != labels.content(base, its) for made, its in made_of.items()):
            return f"the {base} of scene {scene!r} were made again since (pointsam-label {stage})"
    return ""


def stale_tracks(labels: Labels) -> str:
    """Why the tracks of a folder are not those of its clusters; empty if they are.

    Args:
        labels: reader of the folder, of any stage.
    """
    if labels.document(TracksDocument).clusters_key != labels.key("clusters"):
        return "its clusters are of another run than its tracks"
    looks_key = labels.document(TracksDocument).looks_key
    base = "clusters" if looks_key is None else LOOKS
    if looks_key != (labels.key("looks") if has_looks(labels) else None):
        return "its tracks do not start from its second looks (delete tracks and tracked_*, then pointsam-label tracks)"
    left = labels.unfinished("tracks")
    if left or len(labels.selection("tracks")) != len(labels.selection("clusters")):
        return f"{counted(left, 'frame')} of its scenes are not tracked yet (pointsam-label tracks)"
    return _made_again(labels, "tracks", base)


def data_of(
    labels: Labels, root: DataPath | None, reading: Reading = AS_FOUND, mapping: Path | None = None
) -> DataSpec:
    """The data of a finished run, with the noise and calibration that it saw.

    Args:
        labels: reader of its folder.
        root: as for `open_run`.
        reading: as for `open_run`.
        mapping: as for `open_run`.

    Raises:
        StoreError, DatasetError, SchemaError: as `open_run`.
    """
    document = labels.document(ClustersDocument)
    root = root or labels.data_root("clusters")
    if root is None or not is_folder(root):
        raise DatasetError("DAT001", f"the data of {labels.out} are not at {root}", "pass their root: --data or DATA")
    rigs = {rig: one.correction() for rig, one in (document.calibration or {}).items()}
    classes = document.taxonomy if mapping is None else mapped_anew(document.taxonomy, mapping)
    return DataSpec(root, reading.like(document.dataset), document.noise or CLEAN, rigs or None, classes)


def mapped_anew(taxonomy: Taxonomy, mapping: Path) -> Taxonomy:
    """The classes of labels with `truth` of a mapping file.

    Raises:
        SchemaError: SCH004 if the file has other classes; SCH001, SCH002 as `load_mapping`.
    """
    truth = load_mapping(mapping, labels=False).taxonomy
    if truth.names != taxonomy.names:
        raise SchemaError(
            "SCH004",
            f"the classes of {mapping} are {list(truth.names)}, those of the labels {list(taxonomy.names)}",
            "give the mapping file that the labels were made with; its `truth` may change",
        )
    return replace(taxonomy, truth=truth.truth)


def classes_of(folder: Path) -> Taxonomy:
    """The classes of the labels in an output folder.

    Raises:
        StoreError: OUT004 if there are no clusters.
    """
    return Labels(folder).document(ClustersDocument).taxonomy


def read_as_in(folder: Path, data: DataSpec) -> DataSpec:
    """Data of a run as the run read them: its type of data set, version, LiDAR and columns, where none are given.

    Args:
        folder: output folder of the run.
        data: its data set.

    Raises:
        StoreError: OUT004 if the folder holds neither masks nor clusters.
    """
    labels = Labels(folder)
    document = labels.document(ClustersDocument if "clusters" in labels.stages else MasksDocument)
    return replace(data, reading=data.reading.like(document.dataset))


def open_masks(folder: Path, data: DataSpec) -> tuple[StoredMasks, Dataset]:
    """Open the masks of a run with their data set, whose calibration may be changed.

    Args:
        folder: output folder with the masks.
        data: the data set.

    Raises:
        StoreError: OUT004 if there are no masks.
        SchemaError: SCH004 if they were made from other data.
    """
    masks, dataset = StoredMasks(folder), read_as_in(folder, data).open()
    require_same_data(masks.labels, "masks", dataset)
    note_other_code(masks.labels, "masks")
    note_unfinished(masks.labels, "masks")
    return masks, dataset


def open_labels(folder: Path, dataset: Dataset, allow_noise: bool = False, stage: LabelStage | None = None) -> Labels:
    """Open the labels of a run for training.

    Args:
        folder: output folder with clusters.
        dataset: the data set to train on.
        allow_noise: accept labels of a run with perturbed calibration, for experiments.
        stage: the stage whose labels are read, None for the last one that is finished (`label_stage`).

    Raises:
        StoreError: OUT004 if there are no clusters, or no labels of the stage.
        SchemaError: SCH004 on labels of another data set or of other classes, SCH003 on labels of a noise run.
    """
    labels = Labels(folder, label_stage(folder, stage))
    require_same_data(labels, labels.stage, dataset)
    require_same_classes(labels, dataset)
    noise = labels.metadata("clusters").calibration_perturbation
    if noise != "none" and not allow_noise:
        raise SchemaError(
            "SCH003",
            f"{labels.out} was made with a perturbed calibration ({noise})",
            "train on labels of a clean run, or pass --allow-noise to study the effect of noise",
        )
    note_other_code(labels, labels.stage)
    note_unfinished(labels, labels.stage)
    return labels


def note_unfinished(labels: Labels, stage: str) -> None:
    """Print a note to stderr if a stage is unfinished."""
    left, planned = labels.unfinished(stage), len(labels.selection(stage))
    if left:
        print(f"note: {labels.out} is unfinished: {left} of {planned} frames have no {stage} yet", file=sys.stderr)
