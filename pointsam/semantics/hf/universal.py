"""Universal segmenters of transformers: objects with masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics.base import Look
from pointsam.semantics.boxes import box_of
from pointsam.semantics.hf.answers import Runner
from pointsam.semantics.hf.labels import require_names

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

UNIVERSAL: Mapping[str, str] = MappingProxyType(
    {"mask2former": "Mask2FormerForUniversalSegmentation", "maskformer": "MaskFormerForInstanceSegmentation"}
)
"""Class in transformers by `model_type` of config.json."""


class UniversalDetector:
    """The objects of a universal segmenter, as its own image processor finds them.

    Args:
        runner: the model.
        names: name of each label, "" for a number that is none.
        task: "instance": every pair of a query and a label may be an object, and masks may overlap; "panoptic": every
            pixel belongs to one query at most.
        source: the model, for messages.
    """

    def __init__(self, runner: Runner, names: tuple[str, ...], task: str, source: Path) -> None:
        self.names = names
        self._run, self._task, self._source = runner, task, source

    def look(self, image: Image.Image) -> Look:
        """The objects in an RGB image. The box of an object is that of its mask.

        Raises:
            BackendError: BCK003 if the model has another number of labels than names, or its processor pads images.
            SchemaError: SCH003 if it answers with what is no number.
        """
        found = answer(self._run, image, self._source, ("class_queries_logits", "masks_queries_logits"))
        require_names(found.class_queries_logits.shape[-1] - 1, self.names, self._source)
        if self._task == "instance":
            # In its own resolution: masks of all queries in that of a large image fill a gigabyte.
            (objects,) = self._run.processor.post_process_instance_segmentation(
                found, threshold=self._run.least_score, return_binary_maps=True
            )
            masks = [_enlarged(mask, image) for mask in objects["segmentation"][: len(objects["segments_info"])]]
        else:
            (objects,) = self._run.processor.post_process_panoptic_segmentation(
                found, threshold=self._run.least_score, label_ids_to_fuse=set(), target_sizes=[image.size[::-1]]
            )
            masks = [(objects["segmentation"] == one["id"]).numpy() for one in objects["segments_info"]]
        scores = np.zeros((len(masks), len(self.names)), dtype=np.float32)
        for row, one in enumerate(objects["segments_info"]):
            scores[row, one["label_id"]] = one["score"]
        boxes = np.array([box_of(mask) for mask in masks], dtype=np.float32).reshape(-1, 4)
        return Look(boxes, scores, masks.__getitem__)


def _enlarged(mask: Tensor, image: Image.Image) -> NDArray[np.bool_]:
    """As the processor enlarges the masks of objects."""
    import torch

    enlarged = torch.nn.functional.interpolate(mask[None, None], size=image.size[::-1], mode="nearest")[0, 0]
    inside: NDArray[np.bool_] = (enlarged > 0).numpy()
    return inside


def answer(run: Runner, image: Image.Image, source: Path, names: tuple[str, ...]) -> Any:
    """The model's answer to a whole image, with tensors in single precision on the CPU.

    Args:
        run: the model.
        image: RGB image.
        source: the model, for messages.
        names: the tensors of the answer that count.

    Raises:
        BackendError: BCK003 if the processor pads or cuts the image: its masks would lie elsewhere.
        SchemaError: SCH003 if a tensor holds values that are no numbers, which would drop or shift objects in silence.
    """
    import torch

    inputs = run.pixels(image)
    mask = inputs.get("pixel_mask")
    pads = bool(run.processor.do_pad) if mask is None and hasattr(run.processor, "do_pad") else False
    if pads or (mask is not None and not bool(mask.all())) or getattr(run.processor, "do_center_crop", False):
        raise BackendError(
            "BCK003",
            f"the image processor of {source} pads or crops images: its masks would not lie where the objects are",
            "correct its preprocessor_config.json",
        )
    found = run(inputs)
    for name in names:
        values = getattr(found, name).float().cpu()
        if not torch.isfinite(values).all():
            raise SchemaError(
                "SCH003", f"{source} gave {name} that are no numbers", "correct the network or its weights"
            )
        setattr(found, name, values)
    return found
