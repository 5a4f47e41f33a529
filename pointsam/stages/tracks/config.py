"""Options of tracks. Each rule has its own section and switch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pointsam.stages.tracks.config_labels import ClaimConfig, DropConfig, ExtendConfig, RecoverConfig, VoteConfig
from pointsam.stages.tracks.config_links import CutConfig, LinkConfig, MotionConfig, StonesConfig

__all__ = [
    "ClaimConfig",
    "CutConfig",
    "DropConfig",
    "ExtendConfig",
    "LinkConfig",
    "MotionConfig",
    "RecoverConfig",
    "StonesConfig",
    "TracksConfig",
    "VoteConfig",
    "all_rules",
]


@dataclass(frozen=True)
class TracksConfig:
    """Options of tracks; by default none of them changes a label.

    Args:
        enabled: run the stage at the end of a run.
        odometry: find the poses of scenes that have none by registering their sweeps.
        cut: when poses jump.
        link: which clusters are one object.
        motion: which tracks move.
        vote: classes by vote.
        claim: which points lie where a track's points are.
        recover: objects that single frames miss.
        extend: points that clusters miss.
        drop: flickers.
        stones: velocities from sweeps between key frames.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    enabled: bool = False
    odometry: bool = False
    cut: CutConfig = field(default_factory=CutConfig)
    link: LinkConfig = field(default_factory=LinkConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    vote: VoteConfig = field(default_factory=VoteConfig)
    claim: ClaimConfig = field(default_factory=ClaimConfig)
    recover: RecoverConfig = field(default_factory=RecoverConfig)
    extend: ExtendConfig = field(default_factory=ExtendConfig)
    drop: DropConfig = field(default_factory=DropConfig)
    stones: StonesConfig = field(default_factory=StonesConfig)


def all_rules() -> TracksConfig:
    """Every rule switched on, for the recipe `default`."""
    off = TracksConfig(enabled=True, odometry=True)
    return replace(
        off,
        vote=VoteConfig(enabled=True),
        recover=RecoverConfig(enabled=True),
        extend=ExtendConfig(enabled=True),
        drop=DropConfig(enabled=True),
    )
