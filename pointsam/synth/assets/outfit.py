"""Random builds and clothes of people; colours are linear albedo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pointsam.synth.material import Material, Rgb

ADULT_M = 1.75
"""Height of the body to which lengths in these modules apply."""

SKINS: tuple[Rgb, ...] = (
    (0.56, 0.35, 0.25),
    (0.5, 0.3, 0.2),
    (0.42, 0.24, 0.15),
    (0.25, 0.13, 0.075),
    (0.1, 0.055, 0.035),
)
HAIRS: tuple[Rgb, ...] = (
    (0.012, 0.01, 0.01),
    (0.04, 0.022, 0.014),
    (0.12, 0.065, 0.03),
    (0.35, 0.24, 0.11),
    (0.3, 0.3, 0.3),
)
TOPS: tuple[Rgb, ...] = (
    (0.015, 0.015, 0.017),
    (0.03, 0.03, 0.035),
    (0.02, 0.028, 0.06),
    (0.06, 0.06, 0.065),
    (0.07, 0.06, 0.045),
    (0.2, 0.2, 0.2),
    (0.03, 0.03, 0.035),
    (0.03, 0.04, 0.1),
    (0.12, 0.13, 0.14),
    (0.4, 0.4, 0.41),
    (0.7, 0.69, 0.67),
    (0.4, 0.03, 0.03),
    (0.05, 0.14, 0.4),
    (0.06, 0.22, 0.1),
    (0.13, 0.12, 0.055),
    (0.55, 0.33, 0.05),
    (0.3, 0.2, 0.12),
    (0.42, 0.15, 0.25),
    (0.1, 0.3, 0.38),
)
BOTTOMS: tuple[Rgb, ...] = (
    (0.02, 0.02, 0.024),
    (0.035, 0.055, 0.12),
    (0.07, 0.11, 0.2),
    (0.1, 0.1, 0.1),
    (0.25, 0.2, 0.13),
    (0.05, 0.05, 0.06),
    (0.3, 0.29, 0.27),
)
SHOES: tuple[Rgb, ...] = (
    (0.02, 0.02, 0.02),
    (0.1, 0.05, 0.025),
    (0.6, 0.6, 0.58),
    (0.2, 0.2, 0.22),
    (0.03, 0.03, 0.045),
)
HIGH_VIS: tuple[Rgb, ...] = ((0.62, 0.8, 0.05), (0.85, 0.22, 0.02))
HELMETS: tuple[Rgb, ...] = ((0.8, 0.6, 0.03), (0.8, 0.8, 0.78), (0.75, 0.2, 0.02), (0.05, 0.15, 0.5))
STRIPE = Material((0.72, 0.73, 0.75), reflectance=0.9)
SOLE = Material((0.08, 0.08, 0.08))
EYE = Material((0.03, 0.02, 0.018))


@dataclass(frozen=True)
class Build:
    """Sizes of a body, metres.

    Args:
        height_m: height from sole to crown.
        girth: relative thickness, 1 is slim.
        head_m: height from chin to crown.
        legs_m: height of the hips above the ground.
        torso_m: length from hips to neck.
        shoulder_half_m, hip_half_m: distance of the joints from the centre plane.
        bust: size of the bust, 0 to 1.
    """

    height_m: float
    girth: float
    head_m: float
    legs_m: float
    torso_m: float
    shoulder_half_m: float
    hip_half_m: float
    bust: float = 0.0

    @property
    def scale(self) -> float:
        """Thickness of all parts relative to a body of `ADULT_M`."""
        return float((self.height_m / ADULT_M) ** 0.8 * self.girth**0.7)

    @property
    def ankle_m(self) -> float:
        """Height of the ankle above the sole."""
        return 0.048 * self.height_m

    @property
    def leg_m(self) -> tuple[float, float]:
        """Lengths of thigh and shank."""
        free = self.legs_m - self.ankle_m
        return free * 0.51, free * 0.49

    @property
    def arm_m(self) -> tuple[float, float]:
        """Lengths of upper arm and forearm."""
        return self.height_m * 0.168, self.height_m * 0.15


@dataclass(frozen=True)
class Clothes:
    """Clothes and hair of a body.

    Args:
        skin, hair, top, shirt, bottom, shoe, gear: materials; `shirt` shows where the top is open, `gear` is the hat.
        sleeves, legs: covered fraction of the limb, from its root.
        front: "closed", "neck" or "open".
        hair_style: "short", "long", "bun" or "bald".
        head_gear: "", "cap", "beanie", "hard_hat", "bicycle_helmet" or "full_helmet".
        skirt_m: length of a skirt or coat below the hips, 0 for none.
        skirt: material of the skirt or coat.
        vest: material of a high-visibility vest over the top.
        bag: "", "backpack", "shoulder" or "carrier".
        bag_material: material of the bag.
    """

    skin: Material
    hair: Material
    top: Material
    shirt: Material
    bottom: Material
    shoe: Material
    gear: Material
    sleeves: float = 1.0
    legs: float = 1.0
    front: str = "closed"
    hair_style: str = "short"
    head_gear: str = ""
    skirt_m: float = 0.0
    skirt: Material | None = None
    vest: Material | None = None
    bag: str = ""
    bag_material: Material = SOLE


def pick(rng: np.random.Generator, colours: Sequence[Rgb], vary: float = 0.2) -> Rgb:
    """One of the colours, a little lighter or darker."""
    colour = colours[int(rng.integers(len(colours)))]
    gain = float(rng.uniform(1 - vary, 1 + vary))
    red, green, blue = (min(0.9, c * gain) for c in colour)
    return red, green, blue


def cloth(rgb: Rgb) -> Material:
    """Woven cloth, which is brighter in the LiDAR than in cameras."""
    dark = (rgb[0] * 0.72, rgb[1] * 0.72, rgb[2] * 0.72)
    return Material(rgb, texture="fabric", rgb2=dark, scale_m=0.04, reflectance=0.1 + 0.5 * sum(rgb) / 3)


def choice(rng: np.random.Generator, options: dict[str, float]) -> str:
    """Draw one key by weight."""
    weights = np.array(list(options.values()))
    return str(rng.choice(list(options), p=weights / weights.sum()))


def draw_build(rng: np.random.Generator, kind: str) -> Build:
    """Draw the build of an "adult", "child" or "construction_worker"; half of the adults are women."""
    woman = kind != "construction_worker" and rng.random() < 0.5
    if kind == "child":
        height = float(rng.uniform(1.02, 1.38))
        head, legs, torso = 0.165 - 0.02 * (height - 1.02) / 0.36, 0.485, 0.3
    else:
        height = float(np.clip(rng.normal(1.68 if woman else 1.78, 0.06), 1.57, 1.92))
        head, legs, torso = 0.13, 0.515, 0.315
    shoulder, hip = (0.094, 0.052) if woman else (0.104, 0.05)
    girth = float(np.clip(rng.normal(1.04, 0.09), 0.9, 1.3))
    return Build(
        height,
        girth,
        head * height,
        legs * height,
        torso * height,
        shoulder * height * girth**0.5,
        hip * height * girth**0.5,
        float(rng.uniform(0.5, 1.0)) if woman and kind == "adult" else 0.0,
    )


def draw_look(rng: np.random.Generator, build: Build, kind: str) -> Clothes:
    """Everyday clothes."""
    skin, hair = pick(rng, SKINS, 0.12), pick(rng, HAIRS)
    look = Clothes(
        skin=Material(skin, reflectance=0.35),
        hair=Material(hair, reflectance=0.1 + 0.5 * sum(hair) / 3),
        top=cloth(pick(rng, TOPS)),
        shirt=cloth(pick(rng, TOPS)),
        bottom=cloth(pick(rng, BOTTOMS)),
        shoe=Material(pick(rng, SHOES)),
        gear=cloth(pick(rng, TOPS)),
        sleeves=float(rng.choice([1.0, 1.0, 1.0, 0.42])),
        front=choice(rng, {"closed": 4, "neck": 3, "open": 3}),
        hair_style=choice(rng, {"long": 5, "bun": 2, "short": 2} if build.bust > 0 else {"short": 8, "bald": 1}),
        head_gear=choice(rng, {"": 8, "cap": 1, "beanie": 1}),
        bag=choice(rng, {"": 5, "backpack": 2, "shoulder": 1.5, "carrier": 1}),
        bag_material=cloth(pick(rng, TOPS)),
    )
    if look.sleeves < 1:
        look = replace(look, front="closed", legs=float(rng.choice([1.0, 0.6])))
    if kind == "construction_worker":
        return replace(
            look,
            vest=Material(pick(rng, HIGH_VIS, 0.05), texture="fabric", rgb2=(0.6, 0.6, 0.05), scale_m=0.03),
            gear=Material(pick(rng, HELMETS, 0.05), gloss=0.3),
            head_gear="hard_hat",
            hair_style="short",
            front="closed",
            legs=1.0,
            bag="",
        )
    draw = rng.random()
    if build.bust > 0 and draw < 0.3:
        return replace(look, skirt_m=float(rng.uniform(0.25, 0.5)) * build.legs_m, skirt=look.bottom, legs=0.0)
    if kind == "adult" and look.sleeves == 1 and draw > 0.8:
        return replace(look, skirt_m=float(rng.uniform(0.12, 0.35)) * build.legs_m, skirt=look.top)
    return look
