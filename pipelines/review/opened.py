"""A finished run, opened as it was made: its labels, their masks, and the data as the run saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.calibrated import with_calibration
from pipelines.documents import ClustersDocument
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.calibration.perturb import CLEAN
from pointsam.datasets import open_dataset
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_image, read_points
from pointsam.store.reader import Labels
from pointsam.types import Boxes, Frame, FrameLabels


@dataclass(frozen=True, eq=False)
class Parts:
    """A frame, read.

    Args:
        frame: its cameras and poses.
        found: its labels.
        xyz_lidar_m: (N,3) the sweep.
        images: (H,W,3) RGB by camera.
        masks: by camera, the masks that built clusters, with their class.
        boxes: true ones, None where there are none.
    """

    frame: Frame
    found: FrameLabels
    xyz_lidar_m: NDArray[np.float32]
    images: Mapping[str, NDArray[np.uint8]]
    masks: Mapping[str, Sequence[tuple[bytes, int]]]
    boxes: Boxes | None


class Source:
    """A finished run with its data and masks.

    Args:
        out: output folder with clusters.
        data: data set root, None for where it lay when the run was made.
        masks_from: folder whose masks the clusters were made of, None for `out`.
        version: version folder of nuScenes tables, None for the run's.

    Attributes:
        labels: of `out`.
        truth: the data set with its own calibration: for truth, and for figures by camera and visibility.
        dataset: the data set as the run saw it, with the run's noise and calibration: for pictures and exports.

    Raises:
        DatasetError: DAT001 if the data are no longer there; and what opening the data set raises.
        StoreError: OUT004 if there are no clusters.
    """

    def __init__(
        self, out: Path, data: Path | None = None, masks_from: Path | None = None, version: str | None = None
    ) -> None:
        self.labels = Labels(out)
        document = self.labels.document(ClustersDocument)
        root = data or self.labels.data_root("clusters")
        if root is None or not root.is_dir():
            raise DatasetError("DAT001", f"the data of {out} are not at {root}", "say where they are: --data or DATA")
        made_of = document.dataset
        rigs = {rig: one.correction() for rig, one in (document.calibration or {}).items()}
        self.truth: Dataset = open_dataset(root, made_of.name, version=version or made_of.version)
        self.dataset: Dataset = with_calibration(self.truth, document.noise or CLEAN, rigs or None)
        self._masks_folder, self._masks_key = masks_from or out, document.masks_key

    @cached_property
    def masks_source(self) -> Labels:
        """The folder with the masks that the clusters were made of. Those of other folders have other mask ids.

        Raises:
            SchemaError: SCH004 if the folder holds none, or others.
            StoreError: OUT004 if the folder is no output folder.
        """
        source = Labels(self._masks_folder)
        if "masks" not in source.stages or source.key("masks") != self._masks_key:
            raise SchemaError(
                "SCH004",
                f"the masks that the clusters of {self.labels.out} were made of are not in {source.out}",
                "say with --masks-from FOLDER where they are",
            )
        return source

    def folders(self) -> list[Path]:
        """Folders that hold the labels, their masks and their data, now and when the run was made."""
        recorded = self.labels.data_root("clusters")
        return [self.labels.out, self.masks_source.out, self.truth.root, *([] if recorded is None else [recorded])]

    def parts(self, frame_id: str) -> Parts:
        """Read a frame.

        Raises:
            DatasetError: DAT010 if it was set aside; what reading images and points raises.
            SchemaError, StoreError: as `masks_source`.
        """
        found = self.labels.labels(frame_id)
        if found.frame.status != "ok":
            raise DatasetError(
                "DAT010",
                f"{self.labels.out}: frame {frame_id!r} was set aside, it has no labels to draw",
                "mend it, then --retry-failed",
            )
        frame = self.dataset.frame(frame_id)
        images = {view.name: read_image(view.image_path) for view in frame.cameras}
        return Parts(frame, found, read_points(frame.sweep), images, self.masks(found), self.truth.boxes(frame_id))

    def masks(self, found: FrameLabels) -> dict[str, list[tuple[bytes, int]]]:
        """By camera, the masks that built a frame's clusters, with their class."""
        images = self.masks_source.masks(found.frame.frame_id)
        return {
            camera: [
                (row.masks.rle[mask_id], cluster.class_id)
                for cluster in found.clusters
                for name, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True)
                if name == camera
            ]
            for camera, row in images.items()
        }
