"""What the JSON files of an output folder hold (`pointsam.store.layout` says where each lies)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pointsam.taxonomy import Taxonomy


@dataclass(frozen=True)
class Shard:
    """Some consecutive frames of one scene: what is written, and done, at once.

    Args:
        name: unique in the run and safe as a file name.
        scene: the drive.
        frame_ids: in the data set's order.
    """

    name: str
    scene: str
    frame_ids: tuple[str, ...]


@dataclass(frozen=True)
class PlanDocument:
    """All shards of a stage."""

    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class PlanSummary:
    """What run.json says of a plan.

    Args:
        shards, frames: how many.
        sha256: of the plan's canonical text.
    """

    shards: int
    frames: int
    sha256: str


@dataclass(frozen=True)
class DatasetId:
    """The data that a stage was made of.

    Args:
        name: of the data set module.
        version: folder of the tables that the user asked for, None where there is one.
        fingerprint: of tables and calibration; it stays where the data moves.
    """

    name: str
    version: str | None
    fingerprint: str


@dataclass(frozen=True)
class StageDocument:
    """All that decides the content of a stage's files; each stage has a class of its own.

    Attributes:
        stage: a key of `layout.STAGE_TABLES`.

    Args:
        tool_version: of pointsam.
    """

    stage: ClassVar[str]

    tool_version: str

    @classmethod
    def sorted_out(cls, values: Mapping[str, object]) -> Mapping[str, object]:
        """JSON values of the document as the fields of the class take them."""
        return values


@dataclass(frozen=True)
class StageMetadata:
    """What a stage's tables say of themselves (`schema.REQUIRED_METADATA`).

    Args:
        config: the stage's document.
        taxonomy: the classes.
        weights_sha256: of each model's weights.
        calibration_perturbation: error of the calibration, "none" without one.
        tool_version: of pointsam.
    """

    config: Mapping[str, object]
    taxonomy: Taxonomy
    weights_sha256: Mapping[str, str]
    calibration_perturbation: str
    tool_version: str


@dataclass(frozen=True)
class StageEntry:
    """One stage in run.json.

    Args:
        key: sha256 of document and metadata; equal keys mean equal files.
        document: JSON values of the stage's `StageDocument`, with schema_version and plan, a `PlanSummary`.
        metadata: JSON values of a `StageMetadata`.
        data_root: where the data lay, None if the run did not say.
    """

    key: str
    document: Mapping[str, object]
    metadata: Mapping[str, object]
    data_root: str | None


@dataclass(frozen=True)
class RunFile:
    """run.json.

    Args:
        schema_version: of the tables.
        stages: that were begun in the folder.
    """

    schema_version: int
    stages: Mapping[str, StageEntry]


@dataclass(frozen=True)
class FileEntry:
    """What a shard's entry says of one of its files."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class ShardStats:
    """What a shard cost: kept in the manifest, because tables must be equal on every run.

    Args:
        seconds: by frame and step.
        failures: frame_id -> code, message and hint of each that was set aside.
        peak_mb: resident memory of the largest worker.
    """

    seconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    peak_mb: float = 0.0


@dataclass(frozen=True)
class ShardEntry:
    """The manifest entry of a shard that is done.

    Args:
        key: of the run.
        files: by path below the output folder.
        failed: how many frames or images could not be made.
        stats: what it cost.
    """

    key: str
    files: Mapping[str, FileEntry]
    failed: int
    stats: ShardStats
