"""The masks of a run, as clusters are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipelines.documents import MasksDocument
from pointsam.base.errors import ChangedSourceError, QuarantinedError
from pointsam.calibration.perturb import Noise
from pointsam.stages.frame import instance_map
from pointsam.stages.recipes import ClustersConfig
from pointsam.store.reader import Labels
from pointsam.store.sources import MASKS, UNREAD, require_unchanged
from pointsam.types import Frame, ImageMasks, InstanceMap


class StoredMasks:
    """The masks of an output folder, for the 3D stage.

    Args:
        folder: the output folder.

    Attributes:
        labels: reader of the folder.
        document: inputs of the masks.
        taxonomy: classes of the detections.

    Raises:
        StoreError: OUT004 if the folder holds no masks.
    """

    def __init__(self, folder: Path) -> None:
        self.labels = Labels(folder)
        self.document = self.labels.document(MasksDocument)
        self.taxonomy = self.document.taxonomy

    @property
    def key(self) -> str:
        """The key of the masks; equal keys mean equal masks."""
        return self.labels.key("masks")

    @property
    def perturbation(self) -> str:
        """The calibration error that the masks were made with, "none" without one."""
        return self.labels.metadata("masks").calibration_perturbation

    def perturbation_with(self, noise: Noise) -> str:
        """The calibration error of clusters made with `noise`; it includes that of these masks if it differs."""
        made, own = self.perturbation, noise.text()
        if made in ("none", own):
            return own
        return f"masks: {made}" + ("" if own == "none" else f"; {own}")

    def images(self, frame_id: str) -> dict[str, ImageMasks]:
        """Masks of a frame by camera.

        Raises:
            QuarantinedError: if an image is quarantined; what reading raises.
        """
        images = self.labels.masks(frame_id)
        for row in images.values():
            if row.status != "ok":
                raise QuarantinedError(row.error_code, row.error, "correct the file, then run with --retry-failed")
        return images

    def checked_sources(self, frame: Frame, images: Mapping[str, ImageMasks], again: bool = False) -> dict[str, str]:
        """The digest of the masks of a frame, for the labels that are made from them; see `pointsam.store.sources`.

        Args:
            frame: the frame.
            images: result of `images`. Runs of 0.1.0 stored no digests, but masks have the size of their image.
            again: accept changed sweeps that the masks do not depend on.

        Raises:
            ChangedSourceError: DAT013 if an image or a sweep has changed since the masks were made.
        """
        made = self.labels.sources("masks", frame.frame_id)
        require_unchanged(made, frame, "masks", lambda name: not (again and name.startswith(UNREAD)))
        for view in frame.cameras:
            masks, camera = images[view.name].masks, view.camera
            if (masks.height_px, masks.width_px) != (camera.height_px, camera.width_px):
                raise ChangedSourceError(
                    "DAT013",
                    f"{view.source.name} of {camera.width_px} x {camera.height_px} px has changed since its masks of "
                    f"{masks.width_px} x {masks.height_px} px were made",
                    "restore the image, or make masks and clusters again with another --out",
                )
        return {name: made[name] for name in (MASKS,) if name in made}

    def painted(self, image: ImageMasks, config: ClustersConfig) -> InstanceMap:
        """Instance map of an image: the object of every pixel."""
        return instance_map(image, self.taxonomy, self.document.config.semantic_overlap, config)
