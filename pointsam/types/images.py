"""Images: masks, 2D detections, and the partition of an image into objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.types.validation import check_row, check_shapes, check_status


@dataclass(frozen=True, eq=False)
class Masks:
    """K compressed masks of one image.

    Args:
        height_px: image height.
        width_px: image width.
        rle: (K,) COCO compressed run lengths ("counts", column-major) of each mask.
        pred_iou: (K,) float32, the model's own estimate of the mask's IoU.
        stability: (K,) float32, area(logit > +1) / area(logit > -1) (docs/method.md A.3).
        source: (K,) int32, index of the detection whose box prompted the mask, -1 for a LiDAR point.
    """

    height_px: int
    width_px: int
    rle: tuple[bytes, ...]
    pred_iou: NDArray[np.float32]
    stability: NDArray[np.float32]
    source: NDArray[np.int32]

    def __post_init__(self) -> None:
        k = len(self.rle)
        check_shapes(self, pred_iou=(self.pred_iou, (k,)), stability=(self.stability, (k,)), source=(self.source, (k,)))

    def __len__(self) -> int:
        return len(self.rle)

    @staticmethod
    def empty(height_px: int, width_px: int) -> Masks:
        """No masks."""
        none = np.zeros(0, dtype=np.float32)
        return Masks(height_px, width_px, (), none, none, np.zeros(0, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class Detections:
    """D detections of a 2D network in one image, in any order.

    Args:
        box_xyxy_px: (D,4) float32 left, top, right, bottom.
        class_id: (D,) uint8 class in the run's taxonomy.
        score: (D,) float32 in [0,1].
        rle: (D,) COCO compressed run lengths; None if the network predicts boxes only (SAM then predicts the masks).
        instances: False if a mask holds all pixels of a class (a semantic map), not one object.
        unmapped: number of further objects by label, for labels that the mapping does not list. It is not stored.
    """

    box_xyxy_px: NDArray[np.float32]
    class_id: NDArray[np.uint8]
    score: NDArray[np.float32]
    rle: tuple[bytes, ...] | None = None
    instances: bool = True
    unmapped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        d = len(self.class_id)
        check_shapes(
            self,
            box_xyxy_px=(self.box_xyxy_px, (d, 4)),
            class_id=(self.class_id, (d,)),
            score=(self.score, (d,)),
        )
        if self.rle is not None and len(self.rle) != d:
            raise SchemaError(
                "SCH003", f"{d} detections with {len(self.rle)} masks", "give one mask per detection, or no masks"
            )

    def __len__(self) -> int:
        return len(self.class_id)


@dataclass(frozen=True, eq=False)
class InstanceMap:
    """A partition of an image into K objects and background (F_sem and F_inst of docs/method.md A.4).

    Args:
        instance_id: (H,W) int32, index into `mask_id`, NO_INSTANCE = background.
        class_id: (K,) uint8, class of each instance.
        mask_id: (K,) int32, index of each instance's mask among the image's candidate masks.
    """

    instance_id: NDArray[np.int32]
    class_id: NDArray[np.uint8]
    mask_id: NDArray[np.int32]

    def __post_init__(self) -> None:
        check_shapes(
            self,
            instance_id=(self.instance_id, (None, None)),
            class_id=(self.class_id, (None,)),
            mask_id=(self.mask_id, self.class_id.shape),
        )


@dataclass(frozen=True, eq=False)
class ImageMasks:
    """The results of the 2D stage for one image (one row of the `masks` table).

    Args:
        frame_id: the data set's id.
        camera: name of the camera.
        status, error_code, error: as in `FrameRow`.
        masks: candidate masks with scores, empty if failed.
        detections: detections that give masks their classes, empty if failed.
        prompts_uv_px: (P,2) int32 LiDAR-guided prompts.

    Raises:
        SchemaError: SCH003 on a wrong shape or a status without its code.
    """

    frame_id: str
    camera: str
    status: str
    error_code: str
    error: str
    masks: Masks
    detections: Detections
    prompts_uv_px: NDArray[np.int32]

    def __post_init__(self) -> None:
        name = f"image {self.camera} of frame {self.frame_id}"
        check_status(name, self.status, self.error_code)
        shape = self.prompts_uv_px.shape
        check_row(len(shape) == 2 and shape[1] == 2, f"{name}: prompts must have shape (P, 2), got {shape}")
