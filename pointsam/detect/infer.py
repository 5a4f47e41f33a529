"""Run a trained detector on frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from pointsam.datasets.base import Dataset
from pointsam.detect.data.loader import FrameItems, frame_loader
from pointsam.detect.data.sample import PointsConfig
from pointsam.detect.detector import Batch, Detector
from pointsam.detect.predictions_file import FramePredictions


def detect_frames(
    detector: Detector, dataset: Dataset, frame_ids: Sequence[str], config: PointsConfig, workers: int
) -> Iterator[FramePredictions | tuple[str, str]]:
    """Predictions of each frame, in order; for a frame that cannot be read, its id and the reason."""
    device = next(detector.parameters()).device
    items = FrameItems(dataset, frame_ids, config, detector.config.grid.range_m)
    was_training = detector.training
    detector.eval()
    try:
        for item in frame_loader(items, workers):
            if not isinstance(item, Batch):
                yield item
                continue
            with torch.no_grad():
                (predictions,) = detector(item.to(device))
            yield FramePredictions.of(item.frame_ids[0], predictions)
    finally:
        detector.train(was_training)
