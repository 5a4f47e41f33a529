"""Ground-truth instances of camera images, if a data root has them: truth2d/CAMERA/IMAGE.png and .json.

The layout is that of instance maps (docs/precomputed_masks.md), with `visible` for each object (docs/synthetic.md).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.images import DAMAGED, MASK_FORMATS, open_image
from pointsam.base.mask_files import TRUTH, malformed, read_instances
from pointsam.base.remote import DataPath, read_bytes
from pointsam.taxonomy import Taxonomy
from pointsam.types import CameraView


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """Ground-truth instances of one image.

    Args:
        ids: (H,W) int64 instance of every pixel, 0 = none.
        instance_id: (K,) the instances.
        class_id: (K,) class of each instance; BACKGROUND marks void instances, which are not evaluated.
        visible: (K,) unoccluded fraction of the pixels of each instance in this image.
    """

    ids: NDArray[np.int64]
    instance_id: NDArray[np.int64]
    class_id: NDArray[np.int64]
    visible: NDArray[np.float64]


def has_image_truth(root: DataPath) -> bool:
    """Whether a data root has ground truth of images."""
    return (root / TRUTH).is_dir()


def image_truth(root: DataPath, view: CameraView, taxonomy: Taxonomy) -> ImageTruth | None:
    """The ground truth of a camera's image, None if it has none.

    Raises:
        DatasetError: DAT004 if a file cannot be read or its JSON is missing, DAT011 on a damaged file, naming it.
        SchemaError: SCH001 on a class that the taxonomy lacks.
    """
    folder = root / TRUTH / view.name
    picture, table = folder / f"{view.stem}.png", folder / f"{view.stem}.json"
    if not picture.is_file():
        return None
    try:
        with open_image(io.BytesIO(read_bytes(picture, "instance map")), MASK_FORMATS) as image:
            ids = np.asarray(image).astype(np.int64)
    except DAMAGED as error:
        raise malformed(picture, f"not a readable PNG ({error})", "this ground truth again,") from error
    instances = read_instances(table, truth=True)
    return ImageTruth(
        ids,
        np.array(list(instances), dtype=np.int64),
        np.array([taxonomy.class_id(instance.label) for instance in instances.values()], dtype=np.int64),
        np.array([instance.visible for instance in instances.values()], dtype=np.float64),
    )
