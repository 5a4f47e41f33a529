"""The JSON files of an output folder as dataclasses (`pointsam.store.layout` has their paths)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pointsam.base.document import LEFT_OUT
from pointsam.taxonomy import Taxonomy


@dataclass(frozen=True)
class Shard:
    """Consecutive frames of one scene, the unit of writing.

    Args:
        name: unique in the run and safe as a file name.
        scene: name of the drive.
        frame_ids: ids of the frames, in the data set's order.
    """

    name: str
    scene: str
    frame_ids: tuple[str, ...]


def by_scene(frames: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Scene -> its frames, from (scene, frame_id) pairs, both in their order."""
    found: dict[str, list[str]] = {}
    for scene, frame_id in frames:
        found.setdefault(scene, []).append(frame_id)
    return found


@dataclass(frozen=True)
class PlanDocument:
    """The plan: all shards of a stage."""

    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class PlanSummary:
    """The plan's entry in run.json.

    Args:
        shards, frames: numbers of shards and of frames.
        sha256: sha256 of the plan's canonical text.
    """

    shards: int
    frames: int
    sha256: str


@dataclass(frozen=True)
class DatasetId:
    """The data that a stage was made from.

    Args:
        name: name of the data set plug-in.
        version: folder of the tables that the user named, None if there is only one.
        fingerprint: digest of tables and calibration; it does not change if the data moves.
        lidar: channel of the LiDAR that the user named, None for the usual one.
        columns: values of a point that the user named, None for those of the layout.
    """

    name: str
    version: str | None
    fingerprint: str
    lidar: str | None = field(default=None, metadata=LEFT_OUT)
    columns: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class StageDocument:
    """Everything that determines the content of a stage's files; each stage has a subclass.

    Attributes:
        stage: a key of `layout.STAGE_TABLES`.

    Args:
        tool_version: version of pointsam.
    """

    stage: ClassVar[str]

    tool_version: str

    @classmethod
    def sorted_out(cls, values: Mapping[str, object]) -> Mapping[str, object]:
        """JSON values of the document, arranged as the fields of the class."""
        return values


@dataclass(frozen=True)
class StageMetadata:
    """Metadata of a stage's tables (`schema.REQUIRED_METADATA`).

    Args:
        config: the stage's document.
        taxonomy: the classes.
        weights_sha256: digest of each model's weights.
        calibration_perturbation: error of the calibration, "none" without one.
        tool_version: version of pointsam.
    """

    config: Mapping[str, object]
    taxonomy: Taxonomy
    weights_sha256: Mapping[str, str]
    calibration_perturbation: str
    tool_version: str


@dataclass(frozen=True)
class StageEntry:
    """A stage in run.json.

    Args:
        key: sha256 of document and metadata; equal keys mean equal files.
        document: JSON values of the stage's `StageDocument`, with schema_version and plan (a `PlanSummary`).
        metadata: JSON values of a `StageMetadata`.
        data_root: path of the data, None if the run did not record it.
        code: digest of the code that makes the files, and versions of the libraries that it uses; None if the run did
            not record them. They are not in the tables, which may be equal in spite of other versions.
        models: where the models are from that made the first files, by their part: JSON values of `ModelOrigin`; None
            if only their digests are known. They are not in the key: an equal model from elsewhere makes equal files.
        sweep_motion: what became of the motion of the vehicle within sweeps (`pointsam.geometry.motion.SweepMotion`);
            None if the data set has removed it, or in runs of older versions.
        remarks: what users should know of finished scenes, by scene; None for nothing.
    """

    key: str
    document: Mapping[str, object]
    metadata: Mapping[str, object]
    data_root: str | None
    code: Mapping[str, str] | None = field(default=None, metadata=LEFT_OUT)
    models: Mapping[str, object] | None = field(default=None, metadata=LEFT_OUT)
    sweep_motion: str | None = field(default=None, metadata=LEFT_OUT)
    remarks: Mapping[str, tuple[str, ...]] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class RunFile:
    """run.json.

    Args:
        schema_version: version of the tables' schema.
        stages: stages that were started in the folder, by name.
    """

    schema_version: int
    stages: Mapping[str, StageEntry]


@dataclass(frozen=True)
class FileEntry:
    """Digest and size of a file of a shard."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class ShardStats:
    """Times, failures and memory of a shard. They are in the manifest, because tables must be equal on every run.

    Args:
        seconds: duration by frame and step.
        failures: frame_id -> code, message and hint, of each quarantined frame.
        peak_mb: resident memory of the largest worker.
        unmapped: number of detected objects by label, for labels that map to no class; None for none.
    """

    seconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    peak_mb: float = 0.0
    unmapped: Mapping[str, int] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class ShardEntry:
    """The manifest entry of a finished shard.

    Args:
        key: key of the run.
        files: its files by path below the output folder.
        failed: number of quarantined frames or images.
        stats: times, failures and memory.
        sources: frame_id -> digests of its sensor data and masks (`pointsam.store.sources`); None in runs of 0.1.0.
    """

    key: str
    files: Mapping[str, FileEntry]
    failed: int
    stats: ShardStats
    sources: Mapping[str, Mapping[str, str]] | None = field(default=None, metadata=LEFT_OUT)
