"""Options of second looks. Each part has its own section and switch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pointsam.base.ranges import require, require_between


@dataclass(frozen=True)
class ComponentsConfig:
    """Looks at LiDAR components that no mask explains.

    Args:
        enabled: show crops of components to the detector.
        floor_m: smallest link distance of a component, metres.
        range_coef: link distance per metre of range.
        vertical: factor of heights in distances.
        clearance_m: points below this height above the ground belong to no component.
        highest_m: nor do points above this height.
        least_points: smallest number of points of a component.
        least_height_m: its highest point stands at least so high above the ground.
        explained: largest fraction of its points that clusters hold, or that lie where a track expects an object.
        largest: largest size, relative to the typical size of a class.
        fill: the larger side of the object is this fraction of the side of its crop.
        smallest_px: smallest side of a crop.
        largest_px: larger crops are scaled down to this side before they are shown.
        least_score: smallest score of a detection, besides the detector's own threshold.
        inside: fraction of the component's points that must lie in the box of a detection.
        box_iou: smallest IoU of this box and the one around the component and its foot on the ground.
        depth: fraction of the standing points in the box that must be at the depth of the component.
        smallest_size, largest_size: height and width of the box at the depth of the component, relative to the typical
            size of the class.
    """

    enabled: bool = False
    floor_m: float = 0.4
    range_coef: float = 0.015
    vertical: float = 0.3
    clearance_m: float = 0.2
    highest_m: float = 4.0
    least_points: int = 5
    least_height_m: float = 0.5
    explained: float = 0.2
    largest: float = 1.3
    fill: float = 0.25
    smallest_px: int = 96
    largest_px: int = 400
    least_score: float = 0.3
    inside: float = 0.7
    box_iou: float = 0.2
    depth: float = 0.5
    smallest_size: float = 0.5
    largest_size: float = 1.6

    def __post_init__(self) -> None:
        name = "looks.components"
        require_between(self, name, 0, 1e3, ("floor_m", "range_coef", "clearance_m", "highest_m", "least_height_m"))
        require_between(self, name, 0, 1e3, ("largest", "smallest_size", "largest_size"))
        require_between(self, name, 0, 1, ("vertical", "explained", "least_score", "inside", "box_iou", "depth"))
        require(0.05 <= self.fill <= 1, f"{name}.fill", self.fill, "a fraction from 0.05 to 1")
        require(1 <= self.least_points <= 1e6, f"{name}.least_points", self.least_points, "a number from 1")
        require(16 <= self.smallest_px <= 1e5, f"{name}.smallest_px", self.smallest_px, "pixels from 16")
        require(
            self.smallest_px <= self.largest_px <= 1e5, f"{name}.largest_px", self.largest_px, "at least smallest_px"
        )


@dataclass(frozen=True)
class ExpectedConfig:
    """Looks where a track says that there should be an object.

    Args:
        enabled: prompt the segmenter with boxes of tracks.
        least_points: smallest number of free points where the points of the track are.
        seen: fraction of the points of the track that must lie in an image.
        smallest_px: smallest width and height of a box.
    """

    enabled: bool = False
    least_points: int = 3
    seen: float = 0.7
    smallest_px: float = 4.0

    def __post_init__(self) -> None:
        require(1 <= self.least_points <= 1e6, "looks.tracks.least_points", self.least_points, "a number from 1")
        require_between(self, "looks.tracks", 0, 1, ("seen",))
        require_between(self, "looks.tracks", 0, 1e5, ("smallest_px",))


@dataclass(frozen=True)
class LooksConfig:
    """Options of second looks; by default there are none.

    Args:
        enabled: run the stage in a whole run.
        most_crops: largest number of crops of a frame; the likeliest objects are shown.
        least_iou: smallest IoU that the segmenter states for the mask of a look.
        mask_inside: fraction of the points that asked for a mask that it must hold.
        duplicate_iou: a look is a duplicate of a detection if their boxes have a larger IoU.
        duplicate_share: or, of two looks, if they share a larger fraction of the smaller one.
        taken: largest fraction of the points at its depth in its box that clusters may hold.
        components: looks at LiDAR components.
        tracks: looks where tracks expect an object.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    enabled: bool = False
    most_crops: int = 48
    least_iou: float = 0.75
    mask_inside: float = 0.5
    duplicate_iou: float = 0.5
    duplicate_share: float = 0.7
    taken: float = 0.3
    components: ComponentsConfig = ComponentsConfig()
    tracks: ExpectedConfig = ExpectedConfig()

    def __post_init__(self) -> None:
        require(0 <= self.most_crops <= 1e6, "looks.most_crops", self.most_crops, "a number from 0")
        require_between(self, "looks", 0, 1, ("least_iou", "mask_inside", "duplicate_iou", "duplicate_share", "taken"))


def of_components() -> LooksConfig:
    """Looks at components, which the stage makes when it is asked for; docs/looks.md says why `run` does not."""
    return LooksConfig(components=ComponentsConfig(enabled=True))


def both() -> LooksConfig:
    """Both kinds of looks switched on."""
    return replace(of_components(), enabled=True, tracks=ExpectedConfig(enabled=True))
