"""`pointsam-label try-2d`: what a 2D network finds in a few images, and which class each of its labels has."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pointsam.base.errors import SchemaError
from pointsam.base.files import require_free, write_together
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets.io import ImageFile, read_image
from pointsam.report.boxes import draw_boxes
from pointsam.report.style import class_rgb
from pointsam.semantics import SemanticsContext, semantics_plugin
from pointsam.semantics.boxes import nms
from pointsam.semantics.tiled import TiledConfig, looks
from pointsam.taxonomy import BACKGROUND, LabelMapping

_LEFT_OUT = "-"


@dataclass(frozen=True)
class LabelRow:
    """A label of a network.

    Args:
        label: its name.
        class_name: the class that it is mapped to, "-" if it is left out.
        objects: number of objects found.
        best: highest score of them; 0 without objects.
    """

    label: str
    class_name: str
    objects: int
    best: float


@dataclass(frozen=True)
class Tried:
    """The result.

    Args:
        rows: every label of the network; those that were found first.
        pictures: the files that were drawn.
    """

    rows: tuple[LabelRow, ...]
    pictures: tuple[Path, ...]

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        return {"labels": [vars(row) for row in self.rows], "pictures": [str(path) for path in self.pictures]}

    def text(self) -> str:
        """For the terminal."""
        found = [(row.label, row.class_name, row.objects, f"{row.best:.2f}") for row in self.rows if row.objects]
        others = [row for row in self.rows if not row.objects]
        mapped = [f"{row.label} ({row.class_name})" for row in others if row.class_name != _LEFT_OUT]
        idle = [row.label for row in self.rows if row.class_name == _LEFT_OUT]
        lines = [text_table(("label", "class", "objects", "best score"), found)] if found else ["nothing was found"]
        lines += [f"not found: {', '.join(mapped)}"] if mapped else []
        lines += [f"{counted(len(idle), 'label')} without a class: {', '.join(idle)}"] if idle else []
        if all(row.class_name == _LEFT_OUT for row in self.rows):
            lines.append(
                "no label has a class, and a run would find nothing: write a mapping and give it with --mapping"
            )
        return "\n".join(lines)


def try_network(
    name: str, config: object, context: SemanticsContext, images: Sequence[Path], dest: Path, overwrite: bool
) -> Tried:
    """Let a network look at images, and draw what it finds.

    Args:
        name: plug-in of the network.
        config: its options.
        context: its mapping and description.
        images: image files.
        dest: folder of the pictures, each named as its image.
        overwrite: whether existing pictures are replaced.

    Raises:
        SchemaError: SCH005 for a source that is not one network, or images of the same name.
        DatasetError: DAT004 or DAT005 if an image cannot be read.
        StoreError: OUT003 if a picture exists.
    """
    plugin = semantics_plugin(name)
    if plugin.detector is None or not isinstance(config, TiledConfig):
        raise SchemaError(
            "SCH005",
            f"semantics {name} is not one network with labels of its own",
            "give a description, hf:SOURCE, prompts, ssd or nanodet; of a fusion, try each of its sources",
        )
    pictures = [dest / f"{path.stem}.png" for path in images]
    for path, picture in zip(images, pictures, strict=True):
        if pictures.count(picture) > 1:
            raise SchemaError("SCH005", f"several images would be drawn to {picture}", "call once for each")
        if picture.resolve() == path.resolve():
            raise SchemaError("SCH005", f"the picture of {path} would replace it", "give another --dest")
        require_free(picture, overwrite)
    detector = plugin.detector(config, context)
    every = np.array([k for k, label in enumerate(detector.names) if label])
    counts, best = np.zeros(len(detector.names), dtype=np.int64), np.zeros(len(detector.names))
    for path, picture in zip(images, pictures, strict=True):
        image = read_image(ImageFile(path))
        found = looks(detector, image, config, every)
        kept = nms(found.box_xyxy_px, found.label, found.score, config.nms_iou)
        box, column, score = found.box_xyxy_px[kept], every[found.label[kept]], found.score[kept]
        np.add.at(counts, column, 1)
        np.maximum.at(best, column, score)
        labels = [detector.names[k] for k in column]
        classes = [context.mapping.class_id(label) for label in labels]
        texts = [f"{label} {value:.2f}" for label, value in zip(labels, score, strict=True)]
        colours = [None if class_id == BACKGROUND else class_rgb(class_id) for class_id in classes]
        content = io.BytesIO()
        masks = None if found.rle is None else [found.rle[k] for k in kept]
        draw_boxes(image, box, texts, colours, masks).save(content, "PNG")
        write_together([(picture, content.getvalue())])
    order = sorted(every.tolist(), key=lambda k: (-counts[k], k))
    rows = [
        LabelRow(detector.names[k], _class_name(context.mapping, detector.names[k]), int(counts[k]), float(best[k]))
        for k in order
    ]
    return Tried(tuple(rows), tuple(pictures))


def _class_name(mapping: LabelMapping, label: str) -> str:
    class_id = mapping.class_id(label)
    return _LEFT_OUT if class_id == BACKGROUND else mapping.taxonomy.names[class_id]
