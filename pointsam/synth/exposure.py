"""Camera images of a key frame, and the ground truth of every pixel as files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from functools import cached_property

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
        ego = self._world.world_SE3_ego(t_s)
        going = [thing for thing in self._world.things if thing.moves]
        own = ego_lamps(ego) if self._world.weather.lamps_lit else ()
        moving = snapshot([_placed(thing, t_s) for thing in going], [*self._lights(going, t_s), *own])
        pose = ego @ mounted.ego_SE3_cam
        everything = _merged(self._static, moving)
        return photograph(everything, mounted.camera, pose, self._world.weather, rng)


def _placed(thing: Thing, t_s: float) -> tuple[Mesh, SE3, int]:
    return thing.mesh(t_s), thing.world_SE3_thing(t_s), thing.object_id


def _merged(a: Snapshot, b: Snapshot) -> Snapshot:
    """Join two snapshots."""
    materials = tuple(dict.fromkeys(a.materials + b.materials))
    index = {material: i for i, material in enumerate(materials)}
    renumber = np.array([index[m] for m in b.materials], dtype=np.int32)
    scene = RaySceneUnion([(a.scene, len(a.triangles)), (b.scene, len(b.triangles))])
    return Snapshot(
        scene,
        np.concatenate([a.vertices_m, b.vertices_m]),
        np.concatenate([a.triangles, b.triangles + np.int32(len(a.vertices_m))]),
        np.concatenate([a.normals, b.normals]),
        np.concatenate([a.face_normals, b.face_normals]),
        np.concatenate([a.texture_m, b.texture_m]),
        np.concatenate([a.material_id, renumber[b.material_id]]),
        np.concatenate([a.object_id, b.object_id]),
        materials,
        a.lights + b.lights,
    )


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
