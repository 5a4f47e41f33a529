"""The code that makes labels, and the libraries that can change them, as run.json records them."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from pipelines.documents import LabelDocument, MasksDocument
from pointsam.base import plugins
from pointsam.base.code import requirements, source_digest, versions
from pointsam.base.plugins import Group
from pointsam.store.manifest import code_differences
from pointsam.store.reader import Labels

_CODE = "code"
"""The key of the digest of our own code; the other keys are names of distributions."""
_LIBRARY = (
    "base",
    "calibration",
    "datasets",
    "evaluate",
    "geometry",
    "masks",
    "rle.py",
    "semantics",
    "stages",
    "store",
    "taxonomy.py",
    "types",
)
"""The parts of `pointsam` that make labels or count them (`noise`)."""
_PIPELINES = (
    "data.py",
    "labelling/look_scene.py",
    "labelling/scene.py",
    "labelling/scene_frames.py",
    "labelling/scene_tracks.py",
    "labelling/worker.py",
    "opened.py",
    "poses.py",
    "robustness/sweep.py",
    "stored_masks.py",
)
_LIBRARIES = ("numpy", "scipy")
_IMAGE_LIBRARIES = ("pillow", "pycocotools")
_NETWORKS: Mapping[str, tuple[str, ...]] = {
    "segmenters": ("segment-anything", "timm", "torch", "torchvision"),
    "hf": ("timm", "torch", "torchvision", "transformers"),
    **dict.fromkeys(("bundled", "nanodet", "onnx", "ssd"), ("onnxruntime",)),
    "fusion": ("onnxruntime", "timm", "torch", "torchvision", "transformers"),
    "torchvision": ("torch", "torchvision"),
}
"""What our segmenters and our detectors run on."""
_OURS = "pointsam"


def code_of(document: LabelDocument, masks: MasksDocument | None = None) -> dict[str, str]:
    """Digest of our code, and versions of the libraries and plug-in packages that can change the files of a stage.

    Odometry changes only scenes without poses, whose frames state its version (`pointsam.store.sources.ODOMETRY`).

    Args:
        document: document of the stage.
        masks: document of the masks whose models the stage asks again, None for other stages.
    """
    names = {*_LIBRARIES, *_packages("datasets", document.dataset.name)}
    masks = document if isinstance(document, MasksDocument) else masks
    if masks is not None:
        config = masks.config
        names |= {*_IMAGE_LIBRARIES, *_packages("segmenters", config.backend)}
        names |= _packages("semantics", config.semantics)
    return {_CODE: _our_code(), **versions(names)}


def note_other_code(labels: Labels, stage: str) -> None:
    """Print a note to stderr if other code or libraries than those of this process made a stage.

    Libraries that are not installed here do not count: nothing that runs here depends on them.
    """
    made = labels.code(stage)
    now = {_CODE: _our_code(), **versions(set(made or ()) - {_CODE})}
    absent = {name: version for name, version in (made or {}).items() if now[name] == "none"}
    changes = code_differences(made, {**now, **absent})
    if changes:
        print_other_code(labels.out, stage, changes)


def print_other_code(out: object, stage: str, changes: list[str] | tuple[str, ...]) -> None:
    """The note itself.

    Args:
        out: the output folder.
        stage: the stage.
        changes: result of `code_differences`.
    """
    print(f"note: {out}: its {stage} were made by other code or libraries: {'; '.join(changes)}", file=sys.stderr)


def _our_code() -> str:
    return source_digest(_OURS, _LIBRARY) + source_digest("pipelines", _PIPELINES)


def _packages(group: Group, name: str) -> set[str]:
    """Distributions that a plug-in consists of and runs on: for one of another package, that package and its needs."""
    found = {plugin.distribution for plugin in plugins.plugins(group) if plugin.name == name}
    if _OURS in found:
        return set(_NETWORKS.get(name, _NETWORKS.get(group, ())))
    return found.union(*(requirements(one) for one in found)) - {_OURS}
