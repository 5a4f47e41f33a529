"""Camera masks of a run against the ground-truth instances of its images, for data that have them."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.opened import OpenedRun
from pointsam.base.errors import ChangedSourceError
from pointsam.base.progress import progress
from pointsam.base.tables import Table
from pointsam.base.words import counted
from pointsam.datasets.mapped import MappedDataset
from pointsam.datasets.truth2d import has_image_truth, image_truth
from pointsam.evaluate.images import ImageAccumulator


def image_quality(run: OpenedRun, frame_ids: Sequence[str]) -> Table | None:
    """Quality of the masks that built clusters, by class, height and visibility; None if no image has ground truth.

    Args:
        run: the run with its data.
        frame_ids: ids of labelled frames.

    Raises:
        DatasetError: DAT011 on a damaged ground-truth file.
    """
    mapped, root, taxonomy = run.truth, run.truth.root, run.labels.taxonomy
    if not has_image_truth(root):
        return None
    accumulator, images, changed = ImageAccumulator(taxonomy), 0, 0
    for frame_id in progress(frame_ids, desc="masks", unit="frame"):
        try:
            run.require_unchanged(frame_id, images=True)
        except ChangedSourceError:
            changed += 1
            continue
        masks = run.masks_of(run.labels.labels(frame_id))
        for view in run.dataset.frame(frame_id).cameras:
            truth = mapped.image_truth(view) if isinstance(mapped, MappedDataset) else image_truth(root, view, taxonomy)
            if truth is not None:
                accumulator.add(truth, masks.get(view.name, ()))
                images += 1
    if images == 0:
        return None
    rows = [
        (one.name, one.num_objects, one.mean_iou, one.recall, one.class_share, one.num_masks or "", one.precision)
        for one in accumulator.result()
    ]
    header = ("camera masks", "objects", "IoU", "recall", "right class", "masks", "precision")
    note = (
        "objects of at least 16 pixels against the masks that built clusters; recall and precision at IoU 0.5; masks "
        "that built no cluster are ignored"
    )
    if changed:
        note += f"; {counted(changed, 'frame')} left out, whose files have changed since"
    return Table(f"{counted(images, 'image')}: camera masks against ground-truth instances", header, rows, note)
