"""Documents of the stages of a labelling run, as run.json holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pointsam import __version__
from pointsam.base.document import LEFT_OUT, json_object
from pointsam.calibration.correction import StoredCorrection
from pointsam.calibration.perturb import Noise
from pointsam.stages.looks.config import LooksConfig
from pointsam.stages.recipes import ClustersConfig, MasksConfig
from pointsam.stages.tracks.config import TracksConfig
from pointsam.store.document import DatasetId, StageDocument, StageMetadata
from pointsam.taxonomy import Taxonomy


@dataclass(frozen=True)
class LabelDocument(StageDocument):
    """Inputs of every stage of a labelling run.

    Args:
        recipe: name of the configuration.
        dataset: the data set.
        taxonomy: the classes.
    """

    recipe: str
    dataset: DatasetId
    taxonomy: Taxonomy

    def metadata(self, weights_sha256: Mapping[str, str], perturbation: str) -> dict[str, object]:
        """The metadata of the stage's tables: JSON values of a `StageMetadata`.

        Args:
            weights_sha256: sha256 of the weights of each model that made the masks.
            perturbation: the calibration error, "none" without one.
        """
        config = json_object(self)
        return json_object(StageMetadata(config, self.taxonomy, weights_sha256, perturbation, __version__))


@dataclass(frozen=True)
class MasksDocument(LabelDocument):
    """Inputs of the masks.

    Args:
        labels: label name of the 2D network -> class.
        weights_sha256: sha256 of each model's weights.
        threads: threads per worker; sums depend on them.
        device: "cpu" or "cuda"; a GPU sums in another order.
        config: configuration of the stage.
        noise: error added to the calibration, None for none.
        calibration: correction of the calibration by rig, None for none.
        accepted: rules of `check` that the data may break, None for none.
    """

    stage: ClassVar[str] = "masks"

    labels: Mapping[str, str]
    weights_sha256: Mapping[str, str]
    threads: int
    device: str
    config: MasksConfig
    noise: Noise | None = field(default=None, metadata=LEFT_OUT)
    calibration: Mapping[str, StoredCorrection] | None = field(default=None, metadata=LEFT_OUT)
    accepted: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT)

    @classmethod
    def sorted_out(cls, values: Mapping[str, object]) -> Mapping[str, object]:
        """The values with the options of back ends, known or not, in the field `options`."""
        config = values.get("config")
        return {**values, "config": MasksConfig.sorted_out(config)} if isinstance(config, Mapping) else values


@dataclass(frozen=True)
class ClustersDocument(LabelDocument):
    """Inputs of the clusters.

    Args:
        masks_key: key of the masks.
        config: configuration of the stage.
        noise, calibration: as in `MasksDocument`.
        probability_sha256: sha256 of the file of the probability (`pointsam.stages.probability`); None in labels
            without probabilities.
    """

    stage: ClassVar[str] = "clusters"

    masks_key: str
    config: ClustersConfig
    noise: Noise | None = field(default=None, metadata=LEFT_OUT)
    calibration: Mapping[str, StoredCorrection] | None = field(default=None, metadata=LEFT_OUT)
    probability_sha256: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class LooksDocument(LabelDocument):
    """Inputs of second looks.

    Args:
        masks_key: key of the masks of the first round.
        clusters_key: key of the clusters of the first round.
        weights_sha256: sha256 of the weights of each model that is asked again.
        threads, device: as in `MasksDocument`.
        config: configuration of the stage.
        tracks: configuration of the tracks that say where to look; None where no track is asked.
        crops: whether crops are shown to a detector; not if the classes come from files.
        noise, calibration: as in `MasksDocument`; those of the clusters.
    """

    stage: ClassVar[str] = "looks"

    masks_key: str
    clusters_key: str
    weights_sha256: Mapping[str, str]
    threads: int
    device: str
    config: LooksConfig
    tracks: TracksConfig | None
    crops: bool
    noise: Noise | None = field(default=None, metadata=LEFT_OUT)
    calibration: Mapping[str, StoredCorrection] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class TracksDocument(LabelDocument):
    """Inputs of the tracks.

    Args:
        clusters_key: key of the clusters.
        config: configuration of the stage.
        noise, calibration: as in `MasksDocument`; those of the clusters.
        probability_sha256: sha256 of the file of the probability of tracked clusters; None if they keep that of their
            frames.
        looks_key: key of the second looks whose labels were tracked; None for those of the first round.
    """

    stage: ClassVar[str] = "tracks"

    clusters_key: str
    config: TracksConfig
    noise: Noise | None = field(default=None, metadata=LEFT_OUT)
    calibration: Mapping[str, StoredCorrection] | None = field(default=None, metadata=LEFT_OUT)
    probability_sha256: str | None = field(default=None, metadata=LEFT_OUT)
    looks_key: str | None = field(default=None, metadata=LEFT_OUT)
