"""Appearance of a surface for cameras and for the LiDAR."""

from __future__ import annotations

from dataclasses import dataclass

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """A surface.

    Args:
        rgb: linear albedo in [0,1].
        texture: name of a pattern of `pointsam.synth.texture`, "" for none.
        rgb2: second colour of the pattern.
        scale_m: size of the pattern's period, metres.
        gloss: fraction of the sky that is mirrored at grazing angles, in [0,1]: 0 dull, 0.5 car paint, 0.9 glass.
        emit: linear light that the surface emits while lamps are lit (night and rain), 0 by day.
        reflectance: LiDAR intensity at 0 degrees of incidence, in [0,1]; None for the mean of `rgb`. Retro-reflectors
            (number plates, cone stripes, signs) have 1.
        clear: whether LiDAR rays pass through it (glass); cameras see it.
    """

    rgb: Rgb
    texture: str = ""
    rgb2: Rgb = (0.0, 0.0, 0.0)
    scale_m: float = 1.0
    gloss: float = 0.0
    emit: Rgb = (0.0, 0.0, 0.0)
    reflectance: float | None = None
    clear: bool = False

    @property
    def lidar_reflectance(self) -> float:
        """LiDAR intensity at 0 degrees of incidence, in [0,1]."""
        return sum(self.rgb) / 3 if self.reflectance is None else self.reflectance


GLASS = Material((0.03, 0.04, 0.05), gloss=0.9, clear=True)
TYRE = Material((0.022, 0.022, 0.024), reflectance=0.05)
RIM = Material((0.42, 0.43, 0.45), gloss=0.35)
CHROME = Material((0.55, 0.56, 0.58), gloss=0.7)
DARK = Material((0.03, 0.03, 0.034), reflectance=0.06)
GREY = Material((0.22, 0.225, 0.23))
HEAD_LAMP = Material((0.85, 0.85, 0.82), gloss=0.7, emit=(6.0, 5.6, 4.8))
TAIL_LAMP = Material((0.5, 0.02, 0.02), gloss=0.5, emit=(1.6, 0.05, 0.03), reflectance=0.8)
INDICATOR = Material((0.75, 0.33, 0.03), gloss=0.4)
PLATE = Material((0.75, 0.75, 0.72), reflectance=1.0)
