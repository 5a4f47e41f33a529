"""The configuration of a synthetic root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pointsam.base.errors import SchemaError
from pointsam.datasets.nuscenes.splits import split_scenes
from pointsam.synth.rig import RIGS

PRESETS: Mapping[str, Mapping[str, float]] = {
    "mixed": {"day": 0.45, "overcast": 0.24, "rain": 0.19, "night": 0.12},
    "day": {"day": 1.0},
    "overcast": {"overcast": 1.0},
    "night": {"night": 1.0},
    "rain": {"rain": 1.0},
    "still": {"day": 1.0},
}
"""Fraction of each weather. `mixed` has as much rain and night as nuScenes; in `still` nothing moves."""

_MINI_SCENES = 10


@dataclass(frozen=True)
class SynthConfig:
    """The content of a root; equal values give equal bytes.

    Args:
        scenes: number of scenes, 1 to 750.
        frames: key frames of each scene, half a second apart; nuScenes has 40.
        seed: of all random draws.
        preset: a key of PRESETS.
        scale: size of the images relative to those of the real cameras, 0.1 to 2.
        rig: the sensors, one of RIGS.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    scenes: int = 1
    frames: int = 40
    seed: int = 0
    preset: str = "mixed"
    scale: float = 0.5
    rig: str = "nuscenes"

    def __post_init__(self) -> None:
        for name, fits, domain in (
            ("scenes", 1 <= self.scenes <= 750, "1 to 750, for which nuScenes has scene names"),
            ("frames", 1 <= self.frames <= 400, "1 to 400"),
            ("preset", self.preset in PRESETS, ", ".join(PRESETS)),
            ("rig", self.rig in RIGS, ", ".join(RIGS)),
            ("scale", 0.1 <= self.scale <= 2, "0.1 to 2"),
        ):
            if not fits:
                raise SchemaError("SCH005", f"synth {name} = {getattr(self, name)}", f"choose {domain}")

    @property
    def version(self) -> str:
        """The version folder: v1.0-mini for up to ten scenes, otherwise v1.0-trainval.

        Other tools know the splits by these names. The devkit's panoptic evaluator needs every scene of a split:
        mini_val has two, val has 150.
        """
        return "v1.0-mini" if self.scenes <= _MINI_SCENES else "v1.0-trainval"

    @property
    def scene_names(self) -> tuple[str, ...]:
        """Scene names of nuScenes: first those of mini_val; in v1.0-trainval one of val before every four of train."""
        train, val = ("mini_train", "mini_val") if self.version == "v1.0-mini" else ("train", "val")
        names = {split: iter(sorted(split_scenes(split))) for split in (train, val)}
        if self.version == "v1.0-mini":
            return (*names[val], *names[train])[: self.scenes]
        return tuple(next(names[train if i % 5 else val]) for i in range(self.scenes))

    @property
    def splits(self) -> dict[str, list[str]]:
        """Scene names of `train` and `val`, which are the names of the splits in both versions."""
        held_out = split_scenes("mini_val" if self.version == "v1.0-mini" else "val")
        names = self.scene_names
        return {"train": [n for n in names if n not in held_out], "val": [n for n in names if n in held_out]}
