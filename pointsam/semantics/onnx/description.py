"""The description of an ONNX detector: what it takes, and how boxes and scores lie in its outputs.

A description is a JSON file beside the model (docs/onnx.md). A family gives the fields that a file leaves out.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pointsam.base.document import document_from, parse_json
from pointsam.base.errors import SchemaError
from pointsam.base.files import require_file
from pointsam.base.ranges import require, require_between
from pointsam.base.words import did_you_mean
from pointsam.semantics.described import file_beside
from pointsam.semantics.onnx.families import FAMILIES
from pointsam.semantics.vocabularies import names_of

_HINT = "docs/onnx.md lists the fields of a description"
_MOST_PX = 8192

Extra = Literal["size_wh", "size_hw", "mask"]
"""Further inputs of a network: width and height of its input in pixels, the same as height and width, or ones for all
pixels that are no padding."""


@dataclass(frozen=True)
class InputForm:
    """How an image becomes the input of a network: value = (pixel / divide - mean) / std.

    Args:
        width_px, height_px: size of the input; None = that of the model's input.
        fit: "stretch" resizes both sides; "corner" and "centre" keep the aspect ratio and pad, with the image in the
            upper left corner or in the middle; "multiple" keeps it nearly, without padding: the longer side becomes
            `width_px`, and both are multiples of `multiple_px`.
        multiple_px: see `fit`.
        fill: value of padded pixels.
        channels: order of the colours.
        layout: order of the axes.
        divide, mean, std: see above; mean and std in the order of the channels.
        extra: further inputs by name.
    """

    width_px: int | None = None
    height_px: int | None = None
    fit: Literal["stretch", "corner", "centre", "multiple"] = "stretch"
    multiple_px: int = 32
    fill: int = 0
    channels: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    divide: float = 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    extra: Mapping[str, Extra] | None = None

    def __post_init__(self) -> None:
        require_between(self, "input", 1, _MOST_PX, ("width_px", "height_px", "multiple_px"))
        require_between(self, "input", 0, 255, ("fill",))
        require_between(self, "input", -1e6, 1e6, ("mean",))
        require_between(self, "input", 1e-6, 1e6, ("divide", "std"))


@dataclass(frozen=True)
class BoxForm:
    """How boxes lie in an output.

    Args:
        output: name of the output; "" = the first one. Of several outputs, one for each grid, the names in order.
        transposed: whether a row of the output is a number of all boxes, not a box.
        columns: first column of a box, and one past its last.
        form: meaning of the four numbers.
        unit: "pixels" of the network's input, or "fractions" of it.
        grid: "none"; "exponential": offsets of the centre from a cell, and logarithms of width and height, both in
            cells (YOLOX); "distances": a distribution of the distance from a cell to each side, in cells (NanoDet).
        strides_px: sides of the cells of the grids, one grid after another.
        cell_middle: position in a cell that distances are measured from: 0.5 is its middle, 0 its upper left corner.
    """

    output: str | tuple[str, ...] = ""
    transposed: bool = False
    columns: tuple[int, int] = (0, 4)
    form: Literal["xyxy", "yxyx", "xywh", "cxcywh"] = "xyxy"
    unit: Literal["pixels", "fractions"] = "pixels"
    grid: Literal["none", "exponential", "distances"] = "none"
    strides_px: tuple[int, ...] = (8, 16, 32)
    cell_middle: float = 0.0

    def __post_init__(self) -> None:
        first, end = self.columns
        width = end - first
        fits = first >= 0 and (width == 4 if self.grid != "distances" else width >= 8 and width % 4 == 0)
        wanted = "4 columns" if self.grid != "distances" else "4 times as many columns as a distribution has values"
        require(fits, "boxes.columns", self.columns, f"{wanted}, as [first, one past the last]")
        require_between(self, "boxes", 1, _MOST_PX, ("strides_px",))
        require_between(self, "boxes", 0, 1, ("cell_middle",))


@dataclass(frozen=True)
class ScoreForm:
    """How scores lie in an output.

    Args:
        output: as of boxes.
        transposed: as of boxes.
        columns: first column of the labels' scores, and one past the last; None = all columns.
        activation: what makes probabilities of the numbers; "softmax" is over all columns of the output.
        objectness: column that multiplies all of them; None = none.
        label_output: output with the number of the label of each box; the scores then are one number for each box. ""
            = none.
        label_column: the same as a column of `output`.
        first_label: number of the first label in `label_output` or `label_column`.
    """

    output: str | tuple[str, ...] = ""
    transposed: bool = False
    columns: tuple[int, int] | None = None
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    objectness: int | None = None
    label_output: str = ""
    label_column: int | None = None
    first_label: int = 0

    def __post_init__(self) -> None:
        rising = self.columns is None or 0 <= self.columns[0] < self.columns[1]
        require(rising, "scores.columns", self.columns, "[first, one past the last]")
        require_between(self, "scores", 0, 1_000_000, ("objectness", "label_column"))
        once = not (self.label_output and self.label_column is not None)
        require(once, "scores.label_column", self.label_column, "either label_output or label_column")
        single = not (self.label_output and isinstance(self.output, tuple))
        require(single, "scores.output", self.output, "one output where label_output is another")

    @property
    def labels_boxes(self) -> bool:
        """Whether each box has one label and one score."""
        return bool(self.label_output) or self.label_column is not None


@dataclass(frozen=True)
class Description:
    """A detector.

    Args:
        model: its file, relative to the description.
        labels: names of the labels by column or number, "" for one that is none; or the name of a vocabulary.
        input, boxes, scores: see there.
        family: name of the family whose fields are the defaults; "" = none.
        licence: licence of the weights, a note.
    """

    model: str
    labels: tuple[str, ...] | str
    input: InputForm = InputForm()
    boxes: BoxForm = BoxForm()
    scores: ScoreForm = ScoreForm()
    family: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        names_of(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each label."""
        return names_of(self.labels)


def parse_description(content: bytes | str, where: str) -> Description:
    """A description from the content of its file.

    Args:
        content: JSON.
        where: the file, for messages.

    Raises:
        SchemaError: SCH005 naming the file and the field.
    """

    def refuse(problem: str) -> SchemaError:
        return SchemaError("SCH005", f"{where}: {problem}", _HINT)

    try:
        values = parse_json(content)
    except ValueError as error:
        raise refuse(f"not valid JSON: {error}") from error
    family = values.get("family", "") if isinstance(values, Mapping) else ""
    if family:
        if family not in FAMILIES:
            near = did_you_mean(str(family), FAMILIES)
            raise refuse(f"family {family!r} is not one of {', '.join(FAMILIES)}{near}")
        assert isinstance(values, Mapping)
        values = _filled(values, FAMILIES[family])
    return document_from(values, Description, refuse, partial=True)


def read_description(path: Path | None) -> tuple[Description, Path]:
    """A description and the file of the model that it names.

    Raises:
        SchemaError: SCH005 if there is no path, or naming the file and the field, also if it names no file of its own
            folder.
    """
    if path is None:
        raise SchemaError(
            "SCH005", "semantics onnx has no description", "give one: --semantics FILE.json (docs/onnx.md)"
        )
    description = parse_description(content_of(path), str(path))
    return description, file_beside(path, description.model, "model")


def content_of(path: Path) -> bytes:
    """The content of a file that the user named.

    Raises:
        SchemaError: SCH005 if it cannot be read.
    """
    try:
        require_file(path)
        return path.read_bytes()
    except OSError as error:
        raise SchemaError("SCH005", f"{path}: cannot be read ({error.strerror})", "give the path of a file") from error


def _filled(values: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Values with the defaults that they lack, part by part."""
    found = copy.deepcopy(dict(defaults))
    for name, value in values.items():
        default = found.get(name)
        both = isinstance(value, Mapping) and isinstance(default, Mapping)
        found[name] = _filled(value, default) if both else value  # type: ignore[arg-type]
    return found


def canonical(description: Description) -> bytes:
    """What determines the detections besides the model's content, for a digest."""
    values = {"labels": description.names, "parts": [description.input, description.boxes, description.scores]}
    return json.dumps(values, default=vars, sort_keys=True).encode()
