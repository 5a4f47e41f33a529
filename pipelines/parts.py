"""All that a picture of a labelled frame is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.config import parse
from pipelines.perturbed import with_calibration
from pointsam.calibration.correction import RigCorrection
from pointsam.calibration.perturb import Noise
from pointsam.datasets import open_dataset
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_image, read_points
from pointsam.errors import DatasetError, SchemaError
from pointsam.store.reader import Labels
from pointsam.store.schema import FrameLabels
from pointsam.types import Boxes, Frame


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
    """An output folder with its data and masks.

    Args:
        out: output folder.
        data: data set root, None for where it lay when the run was made.
        masks_from: folder whose masks the clusters were made of, None for `out`.

    Raises:
        DatasetError: DAT001 if the data are no longer there.
        SchemaError: SCH004 if the clusters were made of other masks.
    """

    def __init__(self, out: Path, data: Path | None = None, masks_from: Path | None = None) -> None:
        self.labels = Labels(out)
        document = self.labels.document("clusters")
        root = data or self.labels.data_root("clusters")
        if root is None or not root.is_dir():
            raise DatasetError("DAT001", f"the data of {out} are not at {root}", "say with --data ROOT where they are")
        self._masks = _masks_of(document, masks_from or out)
        made_of = document["dataset"]
        noise: Noise = parse(Noise, document.get("noise", {}), "run.json")
        rigs = {rig: RigCorrection.from_dict(one) for rig, one in document.get("calibration", {}).items()}
        plain = open_dataset(root, made_of["name"], version=made_of["version"])
        self.dataset: Dataset = with_calibration(plain, noise, rigs or None)

    def folders(self) -> list[Path]:
        """Folders that hold the labels, their masks and their data, now and when the run was made."""
        recorded = self.labels.data_root("clusters")
        return [self.labels.out, self._masks.out, self.dataset.root, *([] if recorded is None else [recorded])]

    def parts(self, frame_id: str) -> Parts:
        """Read a frame.

        Raises:
            DatasetError: DAT010 if it was set aside; what reading images and points raises.
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
        return Parts(frame, found, read_points(frame.sweep), images, self.masks(found), self.dataset.boxes(frame_id))

    def masks(self, found: FrameLabels) -> dict[str, list[tuple[bytes, int]]]:
        """By camera, the masks that built a frame's clusters, with their class."""
        images = self._masks.masks(found.frame.frame_id)
        return {
            camera: [
                (row.masks.rle[mask_id], cluster.class_id)
                for cluster in found.clusters
                for name, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True)
                if name == camera
            ]
            for camera, row in images.items()
        }


def _masks_of(document: Mapping[str, Any], folder: Path) -> Labels:
    """The folder with the masks that clusters of this configuration were made of: another's have other mask ids."""
    source = Labels(folder)
    if "masks" not in source.stages or source.key("masks") != document["masks_key"]:
        raise SchemaError(
            "SCH004",
            f"the masks that the clusters were made of are not in {folder}",
            "say with --masks-from FOLDER where they are",
        )
    return source
