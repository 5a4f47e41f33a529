"""What run.json says of the stages of a labelling run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pointsam import __version__
from pointsam.base.document import LEFT_OUT, json_object
from pointsam.calibration.correction import StoredCorrection
from pointsam.calibration.perturb import Noise
from pointsam.stages.recipes import ClustersConfig, MasksConfig
from pointsam.store.document import DatasetId, StageDocument, StageMetadata
from pointsam.taxonomy import Taxonomy


@dataclass(frozen=True)
class LabelDocument(StageDocument):
    """What every stage of labels was made with.

    Args:
        recipe: name of the configuration.
        dataset: the data.
        taxonomy: the classes.
    """

    recipe: str
    dataset: DatasetId
    taxonomy: Taxonomy

    def metadata(self, weights_sha256: Mapping[str, str], perturbation: str) -> dict[str, object]:
        """What the stage's tables say of themselves: JSON values of a `StageMetadata`.

        Args:
            weights_sha256: of the models that made the masks.
            perturbation: error of the calibration, "none" without one.
        """
        config = json_object(self)
        return json_object(StageMetadata(config, self.taxonomy, weights_sha256, perturbation, __version__))


@dataclass(frozen=True)
class MasksDocument(LabelDocument):
    """What the masks were made with.

    Args:
        labels: label name of the 2D network -> class.
        weights_sha256: of each model's weights.
        threads: of a worker; sums depend on them.
        device: "cpu" or "cuda"; a GPU sums in another order.
        config: of the stage.
        noise: what is wrong with the calibration, None for nothing.
        calibration: what mends it, by rig, None for nothing.
    """

    stage: ClassVar[str] = "masks"

    labels: Mapping[str, str]
    weights_sha256: Mapping[str, str]
    threads: int
    device: str
    config: MasksConfig
    noise: Noise | None = field(default=None, metadata=LEFT_OUT)
    calibration: Mapping[str, StoredCorrection] | None = field(default=None, metadata=LEFT_OUT)

    @classmethod
    def sorted_out(cls, values: Mapping[str, object]) -> Mapping[str, object]:
        """With the options of back ends, known here or not, in a field of their own."""
        config = values.get("config")
        return {**values, "config": MasksConfig.sorted_out(config)} if isinstance(config, Mapping) else values


@dataclass(frozen=True)
class ClustersDocument(LabelDocument):
    """What the clusters were made with.

    Args:
        masks_key: of the masks.
        config: of the stage.
        noise, calibration: as of `MasksDocument`.
    """

    stage: ClassVar[str] = "clusters"

    masks_key: str
    config: ClustersConfig
    noise: Noise | None = field(default=None, metadata=LEFT_OUT)
    calibration: Mapping[str, StoredCorrection] | None = field(default=None, metadata=LEFT_OUT)
