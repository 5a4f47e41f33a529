"""What a synthetic root holds."""

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
"""Weathers with their shares; `mixed` has nuScenes' share of rain and night, in `still` nothing moves."""

_MINI_SCENES = 10


@dataclass(frozen=True)
class SynthConfig:
    """What a root holds; equal values give equal bytes.

    Args:
        scenes: number of scenes, up to 750.
        frames: key frames a scene, half a second apart; nuScenes has 40.
        seed: of everything.
        preset: a key of PRESETS.
        scale: of the images; 1 is the real cameras' size.
        rig: of the sensors, one of RIGS.

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
            ("scenes", 1 <= self.scenes <= 750, "1 to 750, the scenes that nuScenes has names for in these shares"),
            ("frames", 1 <= self.frames <= 400, "1 to 400"),
            ("preset", self.preset in PRESETS, ", ".join(PRESETS)),
            ("rig", self.rig in RIGS, ", ".join(RIGS)),
            ("scale", 0.1 <= self.scale <= 2, "0.1 to 2"),
        ):
            if not fits:
                raise SchemaError("SCH005", f"synth {name} = {getattr(self, name)}", f"choose {domain}")

    @property
    def version(self) -> str:
        """The version folder: up to ten scenes are named as v1.0-mini's are, more as v1.0-trainval's.

        Tools of the field know splits by these names. The devkit's panoptic evaluator wants every scene of a split: of
        mini_val there are two, of val 150.
        """
        return "v1.0-mini" if self.scenes <= _MINI_SCENES else "v1.0-trainval"

    @property
    def scene_names(self) -> tuple[str, ...]:
        """NuScenes' own names: mini_val's first, or every fifth, from the first on, one of val."""
        train, val = ("mini_train", "mini_val") if self.version == "v1.0-mini" else ("train", "val")
        names = {split: iter(sorted(split_scenes(split))) for split in (train, val)}
        if self.version == "v1.0-mini":
            return (*names[val], *names[train])[: self.scenes]
        return tuple(next(names[train if i % 5 else val]) for i in range(self.scenes))

    @property
    def splits(self) -> dict[str, list[str]]:
        """Scene names of `train` and `val`, whatever the version."""
        held_out = split_scenes("mini_val" if self.version == "v1.0-mini" else "val")
        names = self.scene_names
        return {"train": [n for n in names if n not in held_out], "val": [n for n in names if n in held_out]}
