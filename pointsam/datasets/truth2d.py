"""Ground-truth instances of camera images, if a data root has them: truth2d/CAMERA/IMAGE.png and .json.

The layout is that of instance maps (docs/precomputed_masks.md), with `visible` for each object (docs/synthetic.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.images import DAMAGED, MASK_FORMATS, open_image
from pointsam.base.remote import DataPath
from pointsam.taxonomy import Taxonomy
from pointsam.types import CameraView

FOLDER = "truth2d"


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """Ground-truth instances of one image.

    Args:
        ids: (H,W) int64 instance of every pixel, 0 = none.
        instance_id: (K,) the instances.
        class_id: (K,) class of each instance.
        visible: (K,) unoccluded fraction of the pixels of each instance in this image.
    """

    ids: NDArray[np.int64]
    instance_id: NDArray[np.int64]
    class_id: NDArray[np.int64]
    visible: NDArray[np.float64]


def has_image_truth(root: DataPath) -> bool:
    """Whether a data root has ground truth of images."""
    return (root / FOLDER).is_dir()


def image_truth(root: DataPath, view: CameraView, taxonomy: Taxonomy) -> ImageTruth | None:
    """The ground truth of a camera's image, None if it has none.

    Raises:
        DatasetError: DAT011 on a damaged file, naming it.
        SchemaError: SCH001 on a class that the taxonomy lacks.
    """
    folder = root / FOLDER / view.name
    picture, table = folder / f"{view.stem}.png", folder / f"{view.stem}.json"
    if not picture.is_file():
        return None
    try:
        with picture.open("rb") as stream, open_image(stream, MASK_FORMATS) as image:
            ids = np.asarray(image).astype(np.int64)
        rows = [
            (int(key), taxonomy.class_id(entry["label"]), float(entry.get("visible", 1.0)))
            for key, entry in json.loads(table.read_bytes()).items()
        ]
    except (*DAMAGED, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            "DAT011",
            f"{picture} and {table.name} are not an instance map: {error}",
            "write this ground truth again",
        ) from error
    found = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return ImageTruth(ids, found[:, 0].astype(np.int64), found[:, 1].astype(np.int64), found[:, 2])
