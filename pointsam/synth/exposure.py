"""Camera images of a key frame, and the ground truth of every pixel as files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.datasets.nuscenes.truth import CATEGORIES
from pointsam.geometry.se3 import SE3
from pointsam.synth.lamps import ego_lamps, lamps
from pointsam.synth.light import PointLight
from pointsam.synth.mesh import Mesh
from pointsam.synth.raycast import RaySceneUnion
from pointsam.synth.render import Photo, photograph
from pointsam.synth.rig import MountedCamera
from pointsam.synth.shot import Shot
from pointsam.synth.snapshot import Snapshot, snapshot
from pointsam.synth.world import Thing, World
from pointsam.taxonomy import BACKGROUND

JPEG_QUALITY = 92


class Studio:
    """Takes images of a world. Static objects are prepared once."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def _static(self) -> Snapshot:
        still = [thing for thing in self._world.things if not thing.moves]
        return snapshot([_placed(thing, 0.0) for thing in still], self._lights(still, 0.0))

    def _lights(self, things: Sequence[Thing], t_s: float) -> list[PointLight]:
        if not self._world.weather.lamps_lit:
            return []
        return [light for thing in things for light in lamps(thing.asset.category, *_placed(thing, t_s)[:2])]

    def take(self, mounted: MountedCamera, t_s: float, rng: np.random.Generator) -> Photo:
        """The image of a camera of the vehicle at a time, in seconds from the start of the scene."""
        shot = Shot(mounted, self._world.ego, t_s)
        bands = shot.bands()
        seen = _merged(self._static, [self._moving(band.t_s) for band in bands])
        return photograph(shot, list(zip(bands, seen, strict=True)), self._world.weather, rng)

    def _moving(self, t_s: float) -> Snapshot:
        going = [thing for thing in self._world.things if thing.moves]
        own = ego_lamps(self._world.world_SE3_ego(t_s)) if self._world.weather.lamps_lit else ()
        return snapshot([_placed(thing, t_s) for thing in going], [*self._lights(going, t_s), *own])


def _placed(thing: Thing, t_s: float) -> tuple[Mesh, SE3, int]:
    return thing.mesh(t_s), thing.world_SE3_thing(t_s), thing.object_id


def _merged(static: Snapshot, moving: Sequence[Snapshot]) -> list[Snapshot]:
    """Each of some snapshots with the static one. All share their arrays; a scene has the triangles of its own."""
    parts = (static, *moving)
    materials = tuple(dict.fromkeys(m for part in parts for m in part.materials))
    index = {material: i for i, material in enumerate(materials)}
    corners = [0, *accumulate(len(part.vertices_m) for part in parts)]
    faces = [0, *accumulate(len(part.triangles) for part in parts)]
    whole = Snapshot(
        static.scene,
        np.concatenate([part.vertices_m for part in parts]),
        np.concatenate([part.triangles + np.int32(first) for part, first in zip(parts, corners, strict=False)]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.face_normals for part in parts]),
        np.concatenate([part.texture_m for part in parts]),
        np.concatenate([np.array([index[m] for m in part.materials], np.int32)[part.material_id] for part in parts]),
        np.concatenate([part.object_id for part in parts]),
        materials,
    )
    return [
        replace(
            whole,
            scene=RaySceneUnion([(static.scene, 0), (part.scene, first)]),
            lights=static.lights + part.lights,
        )
        for part, first in zip(moving, faces[1:], strict=False)
    ]


def jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """The content of a JPEG file."""
    sink = io.BytesIO()
    Image.fromarray(rgb).save(sink, "JPEG", quality=JPEG_QUALITY)
    return sink.getvalue()


def instance_files(world: World, photo: Photo, shares: Mapping[int, float]) -> tuple[bytes, bytes]:
    """Ground-truth instances of an image in the layout of docs/precomputed_masks.md: a 16-bit PNG and its JSON.

    Args:
        world: the scene.
        photo: the image.
        shares: object_id -> visible fraction of its pixels in this image, written as `visible`.

    Returns:
        PNG and JSON. Objects of the ten detection classes are numbered from 1 by object_id; all else is 0.
    """
    present = np.unique(photo.object_id[photo.object_id >= 0])
    number = np.zeros(len(world.things) + 1, dtype=np.uint16)
    entries: dict[str, dict[str, object]] = {}
    for object_id in present.tolist():
        thing = world.things[object_id]
        class_id = CATEGORIES.class_id(thing.asset.category)
        if thing.instance and class_id != BACKGROUND:
            number[object_id] = len(entries) + 1
            label = CATEGORIES.taxonomy.names[class_id]
            visible = round(shares.get(object_id, 1.0), 3)
            entry = {"label": label, "score": 1.0, "object_id": object_id, "visible": visible}
            entries[str(len(entries) + 1)] = entry
    sink = io.BytesIO()
    Image.fromarray(number[photo.object_id]).save(sink, "PNG")  # -1, the sky, is the last entry: 0
    return sink.getvalue(), json.dumps(entries).encode()
