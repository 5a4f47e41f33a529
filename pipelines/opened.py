"""What a run left, opened with the data that it was made of, and checked to belong together."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.documents import ClustersDocument, MasksDocument
from pointsam.base.errors import DatasetError, QuarantinedError, SchemaError
from pointsam.base.remote import DataPath
from pointsam.calibration.perturb import CLEAN, Noise
from pointsam.datasets.base import Dataset
from pointsam.evaluate.labels import require_same_classes
from pointsam.stages.frame import instance_map
from pointsam.stages.recipes import ClustersConfig
from pointsam.store.reader import Labels
from pointsam.types import FrameLabels, ImageMasks, InstanceMap


class StoredMasks:
    """The masks of an output folder, as the 3D stage takes them.

    Args:
        folder: where they are.

    Attributes:
        labels: the folder.
        document: what the masks were made with.
        taxonomy: the classes of their detections.

    Raises:
        StoreError: OUT004 if the folder holds no masks.
    """

    def __init__(self, folder: Path) -> None:
        self.labels = Labels(folder)
        self.document = self.labels.document(MasksDocument)
        self.taxonomy = self.document.taxonomy

    @property
    def key(self) -> str:
        """Equal keys mean equal masks."""
        return self.labels.key("masks")

    @property
    def perturbation(self) -> str:
        """The calibration error that the masks were made with, "none" without one."""
        return self.labels.metadata("masks").calibration_perturbation

    def perturbation_with(self, noise: Noise) -> str:
        """The calibration error of what is made of the masks through `noise`: theirs too, unless it is the same."""
        made, own = self.perturbation, noise.text()
        if made in ("none", own):
            return own
        return f"masks: {made}" + ("" if own == "none" else f"; {own}")

    def images(self, frame_id: str) -> dict[str, ImageMasks]:
        """Masks of a frame by camera.

        Raises:
            QuarantinedError: that of an image that was set aside; what reading raises.
        """
        images = self.labels.masks(frame_id)
        for row in images.values():
            if row.status != "ok":
                raise QuarantinedError(row.error_code, row.error, "mend the file, then run with --retry-failed")
        return images

    def painted(self, image: ImageMasks, config: ClustersConfig) -> InstanceMap:
        """One object or none for every pixel of an image."""
        return instance_map(image, self.taxonomy, self.document.config.semantic_overlap, config)


class OpenedRun:
    """A finished run with its data.

    Args:
        labels: the folder with its clusters.
        data: the data that they were made of, as the run saw them.
        masks_folder: where the masks are that they were made of.

    Attributes:
        labels: likewise.
        truth: the data set with its own calibration: for truth, and for figures by camera and visibility.
        dataset: the data set as the run saw it, with the run's noise and calibration: for pictures and exports.

    Raises:
        SchemaError: SCH004 if the clusters were made of other data.
        DatasetError: what opening the data set raises.
    """

    def __init__(self, labels: Labels, data: DataSpec, masks_folder: Path) -> None:
        self.labels, self._masks_folder = labels, masks_folder
        self.truth: Dataset = data.plain()
        require_same_data(labels, "clusters", self.truth)
        self.dataset: Dataset = data.seen(self.truth)

    @cached_property
    def masks(self) -> StoredMasks:
        """The masks that the clusters were made of. Those of other folders have other mask ids.

        Raises:
            SchemaError: SCH004 if the folder of masks holds none, or others.
            StoreError: OUT004 if it is no output folder.
        """
        folder = Labels(self._masks_folder)
        if "masks" not in folder.stages or folder.key("masks") != self.labels.document(ClustersDocument).masks_key:
            raise SchemaError(
                "SCH004",
                f"the masks that the clusters of {self.labels.out} were made of are not in {folder.out}",
                "say with --masks-from FOLDER where they are",
            )
        return StoredMasks(self._masks_folder)

    def masks_of(self, found: FrameLabels) -> dict[str, list[tuple[bytes, int]]]:
        """By camera, the masks that built a frame's clusters, with their class.

        Raises:
            SchemaError, StoreError: as `masks`.
        """
        images = self.masks.labels.masks(found.frame.frame_id)
        return {
            camera: [
                (row.masks.rle[mask_id], cluster.class_id)
                for cluster in found.clusters
                for name, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True)
                if name == camera
            ]
            for camera, row in images.items()
        }

    def folders(self) -> list[Path]:
        """Folders of this machine that hold the labels, their masks and their data, now and when the run was made."""
        roots = (self.truth.root, self.labels.data_root("clusters"))
        return [self.labels.out, self.masks.labels.out, *(root for root in roots if isinstance(root, Path))]


def open_run(
    out: Path,
    root: DataPath | None = None,
    masks_from: Path | None = None,
    adapter: str | None = None,
    version: str | None = None,
) -> OpenedRun:
    """Open a finished run with the data that it was made of, and the calibration that it saw.

    Args:
        out: output folder with clusters.
        root: of the data set, None for where it lay when the run was made.
        masks_from: folder whose masks the clusters were made of, None for `out`.
        adapter: name of the data set module, None for the run's.
        version: version folder of the tables, None for the run's.

    Raises:
        StoreError: OUT004 if there are no clusters.
        DatasetError: DAT001 if the data are no longer there; and what opening the data set raises.
        SchemaError: SCH004 if the clusters were made of other data.
    """
    labels = Labels(out)
    document = labels.document(ClustersDocument)
    root = root or labels.data_root("clusters")
    if root is None or not root.is_dir():
        raise DatasetError("DAT001", f"the data of {out} are not at {root}", "say where they are: --data or DATA")
    rigs = {rig: one.correction() for rig, one in (document.calibration or {}).items()}
    made = document.dataset
    data = DataSpec(root, adapter or made.name, version or made.version, document.noise or CLEAN, rigs or None)
    return OpenedRun(labels, data, masks_from or out)


def open_masks(folder: Path, data: DataSpec) -> tuple[StoredMasks, Dataset]:
    """Open the masks of a run with the data that they were made of, whose calibration may be another one.

    Args:
        folder: where the masks are.
        data: the data set.

    Raises:
        StoreError: OUT004 if there are no masks.
        SchemaError: SCH004 if they were made of other data.
    """
    masks, dataset = StoredMasks(folder), data.open()
    require_same_data(masks.labels, "masks", dataset)
    return masks, dataset


def open_labels(folder: Path, dataset: Dataset, allow_noise: bool = False) -> Labels:
    """Open the labels of a run, to train on them.

    Args:
        folder: output folder with clusters.
        dataset: to train on.
        allow_noise: take labels of a run with perturbed calibration, for experiments.

    Raises:
        StoreError: OUT004 if there are no clusters.
        SchemaError: SCH004 on labels of another data set or of other classes, SCH003 on those of a noise run.
    """
    labels = Labels(folder)
    require_same_data(labels, "clusters", dataset)
    require_same_classes(labels, dataset)
    noise = labels.metadata("clusters").calibration_perturbation
    if noise != "none" and not allow_noise:
        raise SchemaError(
            "SCH003",
            f"{labels.out} was made with a perturbed calibration ({noise})",
            "train on labels of a clean run, or give --allow-noise to study what noise does",
        )
    return labels


def require_same_data(labels: Labels, stage: str, dataset: Dataset) -> None:
    """Refuse a data set that a stage was not made of. A data set that has moved is the same one.

    Raises:
        SchemaError: SCH004.
    """
    made, recorded = labels.dataset(stage), labels.data_root(stage)
    if made.fingerprint != dataset.fingerprint():
        place = "" if recorded is None else f" at {recorded}"
        raise SchemaError(
            "SCH004",
            f"the {stage} in {labels.out} were made of another data set ({made.name}{place}) than {dataset.root}, "
            "or its tables or calibration have changed since: the fingerprints differ",
            f"give the root, and the --version, that they were made of, or label this one: pointsam-label run "
            f"{dataset.root} --out OTHER",
        )
