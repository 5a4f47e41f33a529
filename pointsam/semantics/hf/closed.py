"""Detectors with labels of their own: DETR and its descendants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pointsam.semantics.base import Look
from pointsam.semantics.hf.answers import Runner, corners
from pointsam.semantics.hf.labels import require_names

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Closed:
    """How a model gives its scores.

    Args:
        class_name: its class in transformers.
        no_object: whether the scores are a softmax with a last column for no object, else one sigmoid for each label.
    """

    class_name: str
    no_object: bool = False


CLOSED: Mapping[str, Closed] = MappingProxyType(
    {
        "conditional_detr": Closed("ConditionalDetrForObjectDetection"),
        "d_fine": Closed("DFineForObjectDetection"),
        "dab-detr": Closed("DabDetrForObjectDetection"),
        "deformable_detr": Closed("DeformableDetrForObjectDetection"),
        "deimv2": Closed("Deimv2ForObjectDetection"),
        "detr": Closed("DetrForObjectDetection", no_object=True),
        "lw_detr": Closed("LwDetrForObjectDetection"),
        "rf_detr": Closed("RfDetrForObjectDetection"),
        "rt_detr": Closed("RTDetrForObjectDetection"),
        "rt_detr_v2": Closed("RTDetrV2ForObjectDetection"),
        "table-transformer": Closed("TableTransformerForObjectDetection", no_object=True),
        "yolos": Closed("YolosForObjectDetection", no_object=True),
    }
)
"""Models by `model_type` of config.json."""


class ClosedDetector:
    """A detector with labels of its own.

    Args:
        runner: the model.
        names: name of each label, "" for a column that is none.
        no_object: as of `Closed`.
        source: the model, for messages.
    """

    def __init__(self, runner: Runner, names: tuple[str, ...], no_object: bool, source: Path) -> None:
        self.names = names
        self._run, self._no_object, self._source = runner, no_object, source

    def look(self, image: Image.Image) -> Look:
        """The boxes in an RGB image.

        Raises:
            BackendError: BCK003 if the model has another number of labels than names.
        """
        found = self._run(self._run.pixels(image))
        logits = found.logits[0].float()
        score = logits.softmax(-1)[:, :-1] if self._no_object else logits.sigmoid()
        require_names(score.shape[1], self.names, self._source)
        return Look(corners(found.pred_boxes[0], *image.size), score.cpu().numpy())
