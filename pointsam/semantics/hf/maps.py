"""Networks of transformers that give the class of every pixel, without objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam import rle
from pointsam.semantics.base import Detector, Look
from pointsam.semantics.boxes import box_of
from pointsam.semantics.hf.answers import Runner
from pointsam.semantics.hf.labels import require_names
from pointsam.semantics.hf.universal import answer
from pointsam.taxonomy import BACKGROUND, LabelMapping
from pointsam.types import CameraView, Detections, Frame

MAPS: Mapping[str, str] = MappingProxyType(
    {
        "beit": "BeitForSemanticSegmentation",
        "data2vec-vision": "Data2VecVisionForSemanticSegmentation",
        "dpt": "DPTForSemanticSegmentation",
        "segformer": "SegformerForSemanticSegmentation",
        "upernet": "UperNetForSemanticSegmentation",
    }
)
"""Class in transformers by `model_type` of config.json."""


class MapDetector:
    """The classes of pixels, as the model's own image processor finds them. Each label is one row of a look.

    Args:
        runner: the model.
        names: name of each label, "" for a number that is none.
        queries: whether it is a universal segmenter, whose answer holds queries.
        source: the model, for messages.
    """

    def __init__(self, runner: Runner, names: tuple[str, ...], queries: bool, source: Path) -> None:
        self.names = names
        self._run, self._queries, self._source = runner, queries, source

    def look(self, image: Image.Image) -> Look:
        """The labels in an RGB image: the box around all pixels of each, score 1, and their mask.

        Raises:
            BackendError, SchemaError: as `answer` and `require_names`.
        """
        used = ("class_queries_logits", "masks_queries_logits") if self._queries else ("logits",)
        found = answer(self._run, image, self._source, used)
        count = found.class_queries_logits.shape[-1] - 1 if self._queries else found.logits.shape[1]
        require_names(count, self.names, self._source)
        (label,) = self._run.processor.post_process_semantic_segmentation(found, target_sizes=[image.size[::-1]])
        pixels = label.numpy()
        present = np.unique(pixels)
        boxes = [box_of(pixels == number) for number in present]
        scores = np.eye(len(self.names), dtype=np.float32)[present]
        return Look(np.array(boxes, dtype=np.float32).reshape(-1, 4), scores, lambda row: pixels == present[row])


class MapSemantics:
    """The classes of pixels, in classes of the run.

    Args:
        name: name of the plug-in.
        weights_sha256: digest of what determines the network's answers.
        detector: gives one row for each label.
        mapping: its label names to the run's classes; labels that it leaves out are background.
    """

    riders_apart = True

    def __init__(self, name: str, weights_sha256: str, detector: Detector, mapping: LabelMapping) -> None:
        self.name, self.weights_sha256, self._detector = name, weights_sha256, detector
        self._class_id = np.array([mapping.class_id(label) if label else BACKGROUND for label in detector.names])

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """One mask of each class in an (H,W,3) uint8 RGB image, by class_id, with score 1; no objects."""
        found = self._detector.look(Image.fromarray(image_rgb))
        assert found.masks is not None
        class_of_row = self._class_id[found.scores.argmax(axis=1)]
        classes, boxes, masks = np.setdiff1d(class_of_row, [BACKGROUND]), [], []
        for class_id in classes:
            mask = np.any([found.masks(int(row)) for row in np.flatnonzero(class_of_row == class_id)], axis=0)
            boxes.append(box_of(mask))
            masks.append(rle.encode_mask(mask))
        box = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        score = np.ones(len(classes), dtype=np.float32)
        return Detections(box, classes.astype(np.uint8), score, tuple(masks), instances=False)
