"""A scanning LiDAR: each ray is cast at its own time, with the poses of the sensor and objects at that time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3
from pointsam.synth.material import Material
from pointsam.synth.mesh import Mesh, box, join, placed
from pointsam.synth.motion import turns
from pointsam.synth.raycast import MISS, SCENES_KEPT, RayScene
from pointsam.synth.sensors import AnyLidar, LidarModel
from pointsam.synth.world import Thing, World

EGO, NOTHING = -2, -1
"""object_id of a return from the ego vehicle, and of a ray without a return."""

_NEAREST_M, _RANGE_NOISE_M = 0.4, 0.008
_SURE_RANGE_M, _REACH_M, _FADE_M = 40.0, 62.0, 6.0
_DIFFUSE_TOP, _RETRO_TOP, _RETRO_REFLECTANCE = 100.0, 255.0, 0.88
"""An HDL-32E reports 0 to 100 for diffuse surfaces and up to 255 for retro-reflectors (its software 2.0)."""
_SPECKLE = 0.4
"""Standard deviation of the logarithm of the intensities of one surface."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One sweep in the order of its measurements; a turning LiDAR has rings from the lowest up in each column.

    Args:
        xyz_lidar_m: (N,3) float32 in the LiDAR frame at the end of the sweep, ego motion compensated; a ray without a
            return has the position of the sensor.
        intensity: (N,) float32, whole numbers 0 to 255.
        ring: (N,) float32, 0 if the sensor has no rings.
        object_id: (N,) int32 index into World.things, EGO or NOTHING.
        delay_s: (N,) float64 time from the measurement to the end of the sweep.
        ego_SE3_lidar: mounting of the sensor.
    """

    xyz_lidar_m: NDArray[np.float32]
    intensity: NDArray[np.float32]
    ring: NDArray[np.float32]
    object_id: NDArray[np.int32]
    delay_s: NDArray[np.float64]
    ego_SE3_lidar: SE3

    def file_bytes(self) -> bytes:
        """Content of nuScenes' .pcd.bin: x, y, z, intensity, ring of every point as little-endian float32."""
        return np.column_stack([self.xyz_lidar_m, self.intensity, self.ring]).astype("<f4").tobytes()


@dataclass(frozen=True, eq=False)
class _Target:
    """Opaque triangles with the LiDAR's properties of each."""

    scene: RayScene
    normal: NDArray[np.float32]
    reflectance: NDArray[np.float32]
    gloss: NDArray[np.float32]
    owner: NDArray[np.int32]


class Lidar:
    """A LiDAR in a world.

    Args:
        world: the scene.
        model: its rays and mounting.
        rain: whether it rains; rain wets the road and shortens the range.
    """

    def __init__(self, world: World, model: AnyLidar, *, rain: bool = False) -> None:
        self._world, self.model, self._rain = world, model, rain
        # Rays at one time share their direction from above if they are the rings of an upright sensor.
        self._upright = isinstance(model, LidarModel) and model.ego_SE3_lidar.rotation[2, 2] > 1 - 1e-12
        self._moving = [thing for thing in world.things if thing.moves]
        self._target = lru_cache(maxsize=SCENES_KEPT)(partial(_alone, world))

    @cached_property
    def _static(self) -> _Target:
        parts, owners = [], []
        for thing in self._world.things:
            if not thing.moves:
                pose = thing.world_SE3_thing(0.0)
                mesh = thing.mesh(0.0)
                parts.append(placed(mesh, pose))
                owners.append(np.full(len(mesh.triangles), thing.object_id, dtype=np.int32))
        return _target(join(*parts), np.concatenate(owners))

    @cached_property
    def _ego(self) -> _Target:
        mesh = _ego_vehicle()
        return _target(mesh, np.full(len(mesh.triangles), EGO, dtype=np.int32))

    def scan(self, t_us: int, rng: np.random.Generator) -> Scan:
        """The sweep that ends at a time.

        Args:
            t_us: microseconds from the start of the scene.
            rng: random generator of noise and drop-outs.
        """
        world, model = self._world, self.model
        time = t_us * 1e-6 - model.delay_s()
        xyz, yaw = world.ego.pose(time)
        turn = turns(yaw)
        world_R_lidar = turn @ model.ego_SE3_lidar.rotation
        start = xyz + turn @ model.ego_SE3_lidar.translation_m
        ray = np.einsum("cij,crj->cri", world_R_lidar, model.rays(t_us * 1e-6))
        at_once = ray.shape[1]

        flat_ray = ray.reshape(-1, 3)
        met = _Met(len(flat_ray))
        start_of_ray = np.repeat(start, at_once, axis=0)
        everything = np.arange(len(flat_ray))
        met.add(self._static, everything, start_of_ray, flat_ray, np.eye(3)[None])
        in_ego = np.einsum("cji,crj->cri", turn, ray).reshape(-1, 3)
        met.add(self._ego, everything, model.ego_SE3_lidar.translation_m, in_ego, np.repeat(turn, at_once, axis=0))
        for thing in self._moving:
            self._meet(thing, time, start, ray, met)
        return self._measure(met, start_of_ray, flat_ray, world.world_SE3_ego(t_us * 1e-6), rng)

    def _meet(
        self,
        thing: Thing,
        time: NDArray[np.float64],
        start: NDArray[np.float64],
        ray: NDArray[np.float64],
        met: _Met,
    ) -> None:
        """Cast the rays of the times that may hit a moving object, in the object's frame at each time."""
        assert thing.track is not None
        at_once = ray.shape[1]
        xyz, yaw = thing.track.pose(time)
        length, width, _ = thing.asset.size_lwh_m
        radius = float(np.hypot(length, width)) / 2 + 0.05
        to = (xyz - start)[:, :2]
        distance = np.linalg.norm(to, axis=1)
        flat = ray[:, : 1 if self._upright else at_once, :2]
        ahead = flat / np.maximum(np.linalg.norm(flat, axis=2, keepdims=True), 1e-9)
        along = np.einsum("cj,crj->cr", to, ahead)
        aside = np.abs(to[:, :1] * ahead[:, :, 1] - to[:, 1:] * ahead[:, :, 0])
        times = np.flatnonzero(((aside < radius) & (along > -radius)).any(axis=1) & (distance < 110.0))
        poses = np.array(thing.pose_indices(time[times]), dtype=np.int64)
        for pose in np.unique(poses):
            c = times[poses == pose]
            turn = turns(yaw[c])
            origin = np.einsum("cji,cj->ci", turn, start[c] - xyz[c])
            local = np.einsum("cji,crj->cri", turn, ray[c])
            index = (c[:, None] * at_once + np.arange(at_once)).ravel()
            target = self._target(thing.object_id, int(pose))
            met.add(
                target,
                index,
                np.repeat(origin, at_once, axis=0),
                local.reshape(-1, 3),
                np.repeat(turn, at_once, axis=0),
            )

    def _measure(
        self,
        met: _Met,
        start: NDArray[np.float64],
        ray: NDArray[np.float64],
        world_SE3_ego: SE3,
        rng: np.random.Generator,
    ) -> Scan:
        n, delay_s = len(ray), self.model.delay_s()
        luck, noise, speckle = rng.random(n), rng.normal(0, _RANGE_NOISE_M, n), rng.normal(0, _SPECKLE, n)
        cosine = np.abs(np.einsum("ij,ij->i", met.normal, ray))
        top = np.where(met.reflectance > _RETRO_REFLECTANCE, _RETRO_TOP, _DIFFUSE_TOP)
        signal = np.minimum(met.reflectance * (0.5 + 0.5 * cosine) * np.exp(speckle), 1.0)
        reach = _SURE_RANGE_M + _REACH_M * np.sqrt(met.reflectance * cosine)
        reach *= 0.75 if self._rain else 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            chance = (0.995 - 0.25 * met.gloss * (1 - cosine)) / (1 + np.exp((met.distance - reach) / _FADE_M))
        back = np.isfinite(met.distance) & (met.distance > _NEAREST_M) & (luck < chance)
        if self._rain:
            back = self._spray(met, back, rng)
        distance = np.where(back, met.distance + noise, 0.0)
        world_SE3_lidar = world_SE3_ego @ self.model.ego_SE3_lidar
        xyz = world_SE3_lidar.inverse().apply(start + ray * distance[:, None])
        intensity = np.where(back, np.round(top * signal), 0.0)
        return Scan(
            xyz.astype(np.float32),
            intensity.astype(np.float32),
            self.model.ring_of_points(),
            np.where(back, met.owner, NOTHING).astype(np.int32),
            np.repeat(delay_s, n // len(delay_s)),
            self.model.ego_SE3_lidar,
        )

    def _spray(self, met: _Met, back: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Drop rays that meet a wet road at a grazing angle."""
        wet = (met.normal[:, 2] > 0.9) & (met.distance > 12.0)
        return back & ~(wet & (rng.random(len(back)) < 0.45))


class _Met:
    """The nearest surface of every ray found so far."""

    def __init__(self, n: int) -> None:
        self.distance = np.full(n, np.inf)
        self.normal = np.zeros((n, 3))
        self.reflectance, self.gloss = np.zeros((2, n))
        self.owner = np.full(n, NOTHING, dtype=np.int32)

    def add(
        self,
        target: _Target,
        index: NDArray[np.int64],
        origin: NDArray[np.float64],
        ray: NDArray[np.float64],
        world_R_target: NDArray[np.float64],
    ) -> None:
        """Cast the rays `index`, given in the target's frame."""
        hits = target.scene.cast(origin, ray)
        nearer = (hits.triangle != MISS) & (hits.distance < self.distance[index])
        at, triangle = index[nearer], hits.triangle[nearer]
        self.distance[at] = hits.distance[nearer]
        turn = world_R_target[nearer] if len(world_R_target) > 1 else world_R_target
        self.normal[at] = np.einsum("nij,nj->ni", np.broadcast_to(turn, (len(at), 3, 3)), target.normal[triangle])
        self.reflectance[at], self.gloss[at] = target.reflectance[triangle], target.gloss[triangle]
        self.owner[at] = target.owner[triangle]


def _alone(world: World, object_id: int, pose: int) -> _Target:
    mesh = world.things[object_id].asset.poses[pose]
    return _target(mesh, np.full(len(mesh.triangles), object_id, dtype=np.int32))


def _target(mesh: Mesh, owner: NDArray[np.int32]) -> _Target:
    clear = np.array([m.clear for m in mesh.materials])[mesh.material_id]
    triangles, materials = mesh.triangles[~clear], mesh.material_id[~clear]
    a, b, c = (mesh.vertices_m[triangles[:, k]].astype(np.float64) for k in range(3))
    cross = np.cross(b - a, c - a)
    normal = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-12)
    reflectance = np.array([m.lidar_reflectance for m in mesh.materials], dtype=np.float32)
    gloss = np.array([m.gloss for m in mesh.materials], dtype=np.float32)
    scene = RayScene(mesh.vertices_m, triangles)
    return _Target(scene, normal.astype(np.float32), reflectance[materials], gloss[materials], owner[~clear])


def _ego_vehicle() -> Mesh:
    """Roof and bonnet of the ego vehicle below the sensor, which nuScenes labels vehicle.ego."""
    paint = Material((0.5, 0.5, 0.5), gloss=0.4)
    return join(box((1.78, 1.2, 0.06), (0.86, 0.0, 1.44), paint), box((0.16, 1.3, 0.1), (2.72, 0.0, 0.99), paint))
