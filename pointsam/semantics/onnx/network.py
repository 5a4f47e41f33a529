"""An ONNX detector on onnxruntime, by its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics.base import Look
from pointsam.semantics.onnx.decode import cells, corners, scores, spread, table
from pointsam.semantics.onnx.description import BoxForm, Description, ScoreForm
from pointsam.semantics.onnx.pixels import Pixels, pixels_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_DTYPES: Mapping[str, type[np.number[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
_MOST_UNUSED = 100
"""Columns of an output that a description may leave out, such as coefficients of masks or key points."""
_ROUNDING = 0.01
"""Scores in half precision may be so far beyond 0 and 1."""
_LEAST_REACH_PX, _MOST_REACH = 2.0, 4.0
_ANY_PX = 640
"""Size of a blank image for a model that takes any size, when the description is checked."""


class OnnxDetector:
    """A detector that looks at one image at a time, on the CPU.

    Args:
        description: what it takes and gives.
        model: content of the model's file.
        where: name of the description, for messages.
        threads: CPU threads of one inference; the result does not depend on it.

    Attributes:
        names: name of each label, "" for a column that is none.

    Raises:
        BackendError: BCK005 if onnxruntime is not installed, BCK004 if the model cannot be read, BCK003 if the
            description does not fit it: which input or output, and its shape.
    """

    def __init__(self, description: Description, model: bytes, where: str, threads: int = 1) -> None:
        self.names, self._form, self._where = description.names, description, where
        self._session = open_session(model, where, threads)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._size_px = self._input_size()
        for part, form in (("boxes", description.boxes), ("scores", description.scores)):
            for name in (form.output,) if isinstance(form.output, str) else form.output:
                self._require_output(part, name)
        self._require_output("scores.label_output", description.scores.label_output)
        self._require_unit(self.look(Image.new("RGB", self._size_px)).boxes)

    def look(self, image: Image.Image) -> Look:
        """Boxes in an RGB image, from one inference.

        Raises:
            BackendError: BCK003 if an output has a shape that the description does not allow.
            SchemaError: SCH003 if the network gives a score that is no number from 0 to 1.
        """
        pixels = pixels_of(image, self._form.input, self._size_px)
        found = dict(zip(self._outputs, self._run(pixels), strict=True))
        for form in (self._form.boxes, self._form.scores):
            if not isinstance(form.output, str):
                found[self._name(form)] = self._joined(found, form.output, form.transposed)
        boxes, labels = self._boxes(found, pixels), self._scores(found)
        if len(boxes) != len(labels):
            shapes = ", ".join(f"{name} {output.shape}" for name, output in found.items())
            raise self._unfit(f"{len(boxes)} boxes and {len(labels)} rows of scores in the outputs {shapes}")
        fits = (labels >= -_ROUNDING) & (labels <= 1 + _ROUNDING)
        if not fits.all():
            wrong = labels[~fits][0]
            raise SchemaError(
                "SCH003",
                f"{self._where}: the network gave a score of {wrong}, not 0 to 1",
                "set scores.activation (sigmoid or softmax)"
                if np.isfinite(wrong)
                else "export it again in single precision, or correct input.divide, mean and std",
            )
        return Look(pixels.to_image(boxes, self._form.boxes.unit == "fractions"), labels.clip(0, 1))

    def _run(self, pixels: Pixels) -> list[NDArray[np.generic]]:
        first, *others = self._session.get_inputs()
        extra = self._form.input.extra or {}
        unknown = sorted({each.name for each in others} ^ extra.keys())
        if unknown:
            named = ", ".join(f"{each.name} {each.shape}" for each in (first, *others))
            raise self._unfit(f"input.extra has {sorted(extra)}, the model's inputs are {named}")
        typed = [each.type for each in others if each.type not in _DTYPES]
        if typed:
            raise self._unfit(f"an input has the type {typed[0]}, not one of {', '.join(_DTYPES)}")
        width, height = pixels.size_px
        values = {"size_wh": np.array([[width, height]]), "size_hw": np.array([[height, width]])}
        feed = {first.name: pixels.values.astype(_DTYPES[first.type])}
        for each in others:
            kind = extra[each.name]
            feed[each.name] = (pixels.mask() if kind == "mask" else values[kind]).astype(_DTYPES[each.type])
        try:
            outputs: list[NDArray[np.generic]] = self._session.run(None, feed)
        except Exception as error:  # onnxruntime raises classes of its own
            shapes = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
            raise self._unfit(f"the model refuses {shapes}: {str(error).splitlines()[0]:.200}") from error
        return outputs

    def _boxes(self, found: dict[str, NDArray[np.generic]], pixels: Pixels) -> NDArray[np.float32]:
        form = self._form.boxes
        name = self._name(form)
        rows = self._columns(table(found[name], form.transposed), "boxes.columns", form.columns, name, found)
        expected = len(cells(form.strides_px, pixels.size_px)[0])
        if form.grid != "none" and len(rows) != expected:
            raise self._unfit(
                f"output {name!r} of shape {found[name].shape} has {len(rows)} boxes, the grids of boxes.strides_px "
                f"{list(form.strides_px)} on {pixels.size_px[0]} x {pixels.size_px[1]} pixels {expected}"
            )
        return corners(rows, form, pixels.size_px)

    def _name(self, form: BoxForm | ScoreForm) -> str:
        return (form.output if isinstance(form.output, str) else ", ".join(form.output)) or self._outputs[0]

    def _joined(
        self, found: dict[str, NDArray[np.generic]], names: tuple[str, ...], transposed: bool
    ) -> NDArray[np.float32]:
        """The rows of several outputs one after another, as one output."""
        parts = [table(found[name], transposed) for name in names]
        if len({part.shape[1] for part in parts}) > 1:
            shapes = ", ".join(f"{name!r} {found[name].shape}" for name in names)
            raise self._unfit(f"the outputs {shapes} have different numbers of columns")
        rows = np.concatenate(parts)
        return rows.T if transposed else rows

    def _scores(self, found: dict[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        form, count = self._form.scores, len(self.names)
        name = self._name(form)
        if form.label_output:
            score, label = (np.asarray(found[one], dtype=np.float32).reshape(-1) for one in (name, form.label_output))
            if len(score) != len(label):
                shapes = f"{found[name].shape}, {form.label_output!r} {found[form.label_output].shape}"
                raise self._unfit(f"output {name!r} has the shape {shapes}: not one label for each score")
            return spread(score, label, form, count)
        rows = table(found[name], form.transposed)
        if form.label_column is not None:
            first = (form.columns or (0, 1))[0]
            last = max(first, form.label_column)
            self._columns(rows, "scores.label_column", (last, last + 1), name, found)
            return spread(rows[:, first], rows[:, form.label_column], form, count)
        columns = form.columns or (0, rows.shape[1])
        self._columns(rows, "scores.columns", columns, name, found)
        if form.objectness is not None:
            at = (form.objectness, form.objectness + 1)
            self._columns(rows, "scores.objectness", at, name, found)
        if columns[1] - columns[0] != count:
            raise self._unfit(
                f"output {name!r} of shape {found[name].shape} has scores of {columns[1] - columns[0]} labels, the "
                f"description names {count} (labels, scores.columns {list(columns)})"
            )
        return scores(rows, form, count)

    def _columns(
        self,
        rows: NDArray[np.float32],
        field: str,
        columns: tuple[int, int],
        name: str,
        found: dict[str, NDArray[np.generic]],
    ) -> NDArray[np.float32]:
        if columns[1] > rows.shape[1] or rows.shape[1] - max(columns[1], len(self.names)) > _MOST_UNUSED:
            part = field.partition(".")[0]
            where = "rows: transposed=false" if getattr(self._form, part).transposed else "columns: transposed=true"
            turned = f"; boxes may lie in its {where}" if rows.shape[0] >= columns[1] else ""
            raise self._unfit(
                f"output {name!r} of shape {found[name].shape} has {rows.shape[1]} columns, {field} is {list(columns)}"
                f"{turned}"
            )
        return rows[:, columns[0] : columns[1]]

    def _input_size(self) -> tuple[int, int]:
        first, form = self._session.get_inputs()[0], self._form.input
        axes = first.shape[2:4] if form.layout == "nchw" else first.shape[1:3]
        stated = (form.height_px, form.width_px)
        colours = first.shape[1 if form.layout == "nchw" else 3] if len(first.shape) == 4 else None
        if len(first.shape) != 4 or (isinstance(colours, int) and colours != 3) or first.type not in _DTYPES:
            raise self._unfit(
                f"input {first.name!r} has the shape {first.shape} and {first.type}, not one image of three colours in "
                f"the layout {form.layout}"
            )
        sizes = []
        for own, wanted in zip(axes, stated, strict=True):
            if isinstance(own, int) and wanted not in (None, own):
                raise self._unfit(
                    f"input {first.name!r} has the shape {first.shape}, the description says {form.width_px} x "
                    f"{form.height_px} pixels"
                )
            sizes.append(own if isinstance(own, int) else wanted or _ANY_PX)
        return sizes[1], sizes[0]

    def _require_unit(self, boxes: NDArray[np.float32]) -> None:
        """Refuse boxes of an image of the input's size that cannot have the unit of the description."""
        reach_px = np.abs(boxes).max(axis=1, initial=0)
        reach_px = reach_px[reach_px > 0]  # exports with suppression fill up with zeros
        if not len(reach_px):
            return
        if self._form.boxes.unit == "pixels" and reach_px.max() <= _LEAST_REACH_PX:
            raise self._unfit("all boxes lie within 2 pixels of the corner: boxes.unit may be fractions")
        if self._form.boxes.unit == "fractions" and np.median(reach_px) > _MOST_REACH * max(self._size_px):
            raise self._unfit("most boxes lie far outside of the image: boxes.unit may be pixels")

    def _require_output(self, field: str, name: str) -> None:
        if name and name not in self._outputs:
            raise self._unfit(f"{field} is {name!r}, the model's outputs are {', '.join(map(repr, self._outputs))}")

    def _unfit(self, problem: str) -> BackendError:
        return BackendError(
            "BCK003",
            f"{self._where} does not fit its model: {problem}",
            "correct the description (docs/onnx.md); `pointsam-label try-2d` shows what it finds",
        )


def open_session(model: bytes, where: str, threads: int) -> InferenceSession:
    """The session of a model.

    The model is read from memory, so that it cannot name files of its own.

    Args:
        model: content of its file.
        where: its name, for messages.
        threads: CPU threads of one inference.

    Raises:
        BackendError: BCK005 if onnxruntime is not installed, BCK004 if the content is no model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "BCK005", f"ONNX networks need onnxruntime ({error})", "pip install 'pointsam[ssd]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own
        raise BackendError(
            "BCK004",
            f"the model of {where} cannot be opened: {str(error).splitlines()[0]:.300}",
            "give a whole .onnx file with its weights inside; weights in files beside it are not read",
        ) from error
