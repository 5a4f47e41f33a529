"""The looks of a frame: which crops of which images are shown, and which boxes prompt the segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.projection import project
from pointsam.semantics.tiles import Window
from pointsam.stages.looks.agree import ImagePoints
from pointsam.stages.looks.candidates import candidates
from pointsam.stages.looks.config import LooksConfig
from pointsam.stages.looks.crops import window
from pointsam.stages.looks.expected import Expected, expected
from pointsam.stages.looks.standing import Cloud
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.values import Tracks
from pointsam.taxonomy import Taxonomy
from pointsam.types import CameraView, Frame, FrameLabels, FramePoints

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Crop:
    """A crop to show.

    Args:
        window: its place in the image.
        members: (P,) indices of the points of the component that are in the image.
    """

    window: Window
    members: _Ints


@dataclass(frozen=True, eq=False)
class Prompt:
    """A box that a track gives.

    Args:
        box_xyxy_px: (4,) left, top, right, bottom.
        of: what the track expects.
        members: (P,) indices of its free points that are in the image.
    """

    box_xyxy_px: NDArray[np.float32]
    of: Expected
    members: _Ints


@dataclass(frozen=True, eq=False)
class ImagePlan:
    """The looks of one image.

    Args:
        place: the points of the frame in the image.
        crops: crops to show to the detector.
        prompts: boxes for the segmenter.
    """

    place: ImagePoints
    crops: tuple[Crop, ...]
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, eq=False)
class FramePlan:
    """The looks of a frame.

    Args:
        standing: indices of the points that stand above the ground.
        held: (N,) bool, points that a cluster holds.
        images: the images with looks, by camera.
    """

    standing: _Ints
    held: NDArray[np.bool_]
    images: Mapping[str, ImagePlan]

    @property
    def num_crops(self) -> int:
        """Number of crops of all images."""
        return sum(len(image.crops) for image in self.images.values())


def plan_looks(
    frame: Frame,
    points: FramePoints,
    found: FrameLabels,
    tracks: Tracks | None,
    taxonomy: Taxonomy,
    config: LooksConfig,
    rules: TracksConfig,
    detector: bool,
) -> FramePlan:
    """Decide what to look at.

    Args:
        frame: the frame.
        points: its points.
        found: its labels of the first round.
        tracks: the tracks of its scene, None without any: a frame alone, or one that they do not have.
        taxonomy: the classes.
        config: options of looks.
        rules: the rules of tracks.
        detector: whether there is a network that can be asked about crops.
    """
    cloud = Cloud.of(frame, points, found)
    asked: list[Expected] = []
    if tracks is not None and config.tracks.enabled:
        asked = expected(cloud, tracks, tracks.index(frame.frame_id), taxonomy, config.tracks, rules)
    parts = config.components
    standing = cloud.standing(parts.clearance_m, parts.highest_m)
    taken = np.zeros(len(points), dtype=np.bool_)
    for one in asked:
        taken[one.members] = True
    listed = candidates(cloud, taken, taxonomy, parts) if parts.enabled and detector else []
    places = {view.name: ImagePoints.of(cloud, frame, view) for view in frame.cameras} if asked or listed else {}
    crops: dict[str, list[Crop]] = {name: [] for name in places}
    left = config.most_crops
    for candidate in listed:
        for name, place in places.items():
            members = place.seen(candidate.members)
            if len(members) and left > 0:
                where = window(place.box_of(members), *place.size_px, parts.fill, parts.smallest_px)
                crops[name].append(Crop(where, members))
                left -= 1
    images = {}
    for view in frame.cameras if places else ():
        place = places[view.name]
        prompts = [prompt for one in asked if (prompt := _prompt(one, place, frame, view, config)) is not None]
        if prompts or crops[view.name]:
            images[view.name] = ImagePlan(place, tuple(crops[view.name]), tuple(prompts))
    return FramePlan(standing, cloud.held, images)


def _prompt(one: Expected, place: ImagePoints, frame: Frame, view: CameraView, config: LooksConfig) -> Prompt | None:
    """The box of what a track expects in an image, None if the image does not show enough of it."""
    rules, members = config.tracks, place.seen(one.members)
    seen = project(one.model_lidar_m, frame, view)
    if len(members) == 0 or seen.valid.mean() < rules.seen:
        return None
    # The model may hold points of all sides; those that the LiDAR meets now lie at the edges of the box too.
    uv = np.concatenate([seen.uv_px[seen.valid], place.uv_px[members]])
    box = np.concatenate([uv.min(axis=0), uv.max(axis=0)]).astype(np.float32)
    if (box[2:] - box[:2]).min() < rules.smallest_px:
        return None
    return Prompt(box, one, members)
