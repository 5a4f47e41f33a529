"""Some objects through time for the page of a run."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image

from pipelines.opened import OpenedRun
from pipelines.review.follow import Followed
from pipelines.review.follow_pictures import track_pictures
from pipelines.review.objects import TrackedScene, lidar_poses
from pointsam.base.progress import progress
from pointsam.base.words import counted
from pointsam.types import TrackRow

MOST_TRACKS = 8
_QUALITY = 82
_KINDS: tuple[tuple[int, Callable[[TrackRow], float]], ...] = (
    (3, lambda track: track.num_recovered),
    (2, lambda track: track.class_changes),
    (1, lambda track: bool(track.cut) * track.num_frames),
    (2, lambda track: track.moving * track.num_frames),
    (MOST_TRACKS, lambda track: track.num_frames + track.num_recovered),
)
"""How many tracks of a kind are shown at most, and how much of it a track is; 0 for none. Long ones fill up."""


@dataclass(frozen=True)
class TrackFigure:
    """A track of the page, with the pictures NAME-strip.jpg and NAME-path.jpg."""

    name: str
    caption: str


def choose_tracks(tracks: Iterable[tuple[str, TrackRow]]) -> list[tuple[str, TrackRow]]:
    """(scene, track) of at most eight tracks: those of which tracking recovered most, with changes of class, with cuts,
    and the longest ones.

    Equal ones are taken in the order given. Only a few of the tracks are held.

    Args:
        tracks: all tracks.
    """
    best: list[list[tuple[float, int, str, TrackRow]]] = [[] for _ in _KINDS]
    for order, (scene, track) in enumerate(tracks):
        for heap, (_, amount) in zip(best, _KINDS, strict=True):
            if amount(track):
                # `order` differs, so that tracks are never compared.
                entry = (float(amount(track)), -order, scene, track)
                (heapq.heappush if len(heap) < 2 * MOST_TRACKS else heapq.heappushpop)(heap, entry)
    chosen: dict[int, tuple[str, TrackRow]] = {}
    for heap, (most, _) in zip(best, _KINDS, strict=True):
        left = [one for one in sorted(heap, reverse=True) if one[1] not in chosen]
        for _, order, scene, track in left[: min(most, MOST_TRACKS - len(chosen))]:
            chosen[order] = (scene, track)
    return list(chosen.values())


def track_figures(run: OpenedRun, folder: Path) -> Sequence[TrackFigure]:
    """Draw some tracks of a run.

    Args:
        run: the run, at the stage of tracks.
        folder: folder of the pictures, which is made.
    """
    chosen = choose_tracks((scene, track) for scene, tracks in run.labels.tracks() for track in tracks)
    place = {(scene, track.track_id): k for k, (scene, track) in enumerate(chosen)}
    figures: dict[int, TrackFigure] = {}
    if chosen:
        folder.mkdir()
    bar = progress(sorted(chosen, key=lambda one: one[0]), desc="tracks", unit="track")
    for scene_name, tracks in groupby(bar, key=lambda one: one[0]):
        scene = TrackedScene(run.labels, scene_name)
        poses = lidar_poses(run, scene)
        for _, track in tracks:
            number = place[scene_name, track.track_id]
            above, below = track_pictures(Followed(scene, track, run.labels, run, poses))
            name = f"{number:02d}"
            _save(above, folder / f"{name}-strip.jpg")
            _save(below, folder / f"{name}-path.jpg")
            figures[number] = TrackFigure(name, _caption(scene_name, track))
    return [figures[number] for number in sorted(figures)]


def _save(picture: Image.Image, path: Path) -> None:
    picture.save(path, format="JPEG", quality=_QUALITY)


def _caption(scene: str, track: TrackRow) -> str:
    state = f"moving, {track.speed_mps:.1f} m/s" if track.moving else "standing"
    parts = [f"{track.class_name} {scene}:{track.track_id}", state, counted(track.num_frames, "frame")]
    parts += [f"{track.num_recovered} recovered"] if track.num_recovered else []
    parts += [counted(track.class_changes, "change") + " of class"] if track.class_changes else []
    parts += [f"cut: {track.cut}"] if track.cut else []
    return ", ".join(parts)
