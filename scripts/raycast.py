"""A ray-cast camera and a ray-cast LiDAR for scenes of half-spaces and quadrics.

Everything is in the vehicle's frame: x forward, y left, z up. Camera, sweep and truth come from the same surfaces; the
LiDAR looks through glass, the camera does not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

SUN = np.array([-0.42, 0.62, 0.66]) / np.linalg.norm([-0.42, 0.62, 0.66])
SUN_RGB, SKY_RGB = np.array([2.6, 2.3, 1.85]), np.array([0.5, 0.62, 0.85])
ZENITH_RGB, HORIZON_RGB = np.array([0.16, 0.36, 0.72]), np.array([0.72, 0.8, 0.88])
DOME = np.array([(0, 0, 1), *((0.72 * np.cos(a), 0.72 * np.sin(a), 0.69) for a in np.arange(8) * np.pi / 4 + 0.3)])
RAYS_AT_ONCE = 16_000


def dot(a, b):
    """(N,) of (N,3)."""
    return np.einsum("ij,ij->i", a, b)


@dataclass(frozen=True, eq=False)
class Solid:
    """Points with planes[:, :3] @ p <= planes[:, 3] and, if there is a quadric, |A @ (p - c)| <= 1.

    Args:
        planes: (K,4).
        rgb: linear colour, or colours of (N,3) points.
        gloss: how much of the sky it mirrors.
        glass: clear to the LiDAR.
        quadric: A, c.
    """

    planes: np.ndarray
    rgb: tuple[float, float, float] | Callable[[np.ndarray], np.ndarray]
    gloss: float = 0.0
    glass: bool = False
    quadric: tuple[np.ndarray, np.ndarray] | None = None

    def placed(self, rotation, shift):
        """The solid, turned and moved."""
        normals = self.planes[:, :3] @ rotation.T
        planes = np.column_stack([normals, self.planes[:, 3] + normals @ shift])
        quadric = self.quadric and (self.quadric[0] @ rotation.T, rotation @ self.quadric[1] + shift)
        return replace(self, planes=planes, quadric=quadric)

    def hit(self, start, ray):
        """Distance, infinite where missed, and outward normal of (N,3) rays."""
        planes = self.planes.astype(ray.dtype)
        speed = planes[:, :3] @ ray.T
        t = (planes[:, 3:] - planes[:, :3] @ start.T) / np.where(speed == 0, 1e-12, speed)
        enters = np.where(speed < 0, t, -np.inf)
        enter = enters.max(axis=0, initial=1e-3)
        leave = np.where(speed < 0, np.inf, t).min(axis=0, initial=np.inf)
        normal = planes[enters.argmax(axis=0), :3] if len(planes) else np.zeros_like(ray)
        if self.quadric is not None:
            matrix, centre = (array.astype(ray.dtype) for array in self.quadric)
            p, d = (start - centre) @ matrix.T, ray @ matrix.T
            a, b, c = dot(d, d) + 1e-12, dot(p, d), dot(p, p) - 1
            root = np.sqrt(np.maximum(b * b - a * c, 0))
            later = (-b - root) / a > enter
            enter[later] = ((-b - root) / a)[later]
            outward = (p[later] + enter[later, None] * d[later]) @ matrix
            normal[later] = outward / np.linalg.norm(outward, axis=1, keepdims=True)
            leave = np.where(b * b > a * c, np.minimum(leave, (-b + root) / a), -np.inf)
        return np.where((enter < leave) & (enter > 1e-3), enter, np.inf), normal


def box(low, high, rgb, **kind):
    """Axis-aligned box."""
    return Solid(np.column_stack([np.vstack([np.eye(3), -np.eye(3)]), np.append(high, np.negative(low))]), rgb, **kind)


def prism(outline_xz, half_width, rgb, lean=0.0, **kind):
    """A convex outline, counter-clockwise seen from the right, between two sides that lean inwards."""
    corner = np.array(outline_xz)
    edge = np.roll(corner, -1, axis=0) - corner
    normal = np.column_stack([edge[:, 1], -edge[:, 0]]) / np.linalg.norm(edge, axis=1, keepdims=True)
    around = np.column_stack([normal[:, 0], np.zeros(len(edge)), normal[:, 1], (normal * corner).sum(1)])
    sides = [[0, side, lean, half_width + lean * corner[:, 1].min()] for side in (1, -1)]
    return Solid(np.vstack([around, sides]), rgb, **kind)


def ball(centre, radii, rgb, pitch=0.0, planes=(), **kind):
    """An ellipsoid, pitched; an infinite radius makes a cylinder, which planes must end."""
    turn = np.array([[np.cos(pitch), 0, -np.sin(pitch)], [0, 1, 0], [np.sin(pitch), 0, np.cos(pitch)]])
    quadric = np.diag(1 / np.array(radii)) @ turn, np.array(centre, dtype=float)
    return Solid(np.array(planes, dtype=float).reshape(-1, 4), rgb, quadric=quadric, **kind)


def post(radius, height, rgb):
    """An upright cylinder."""
    return ball((0, 0, 0), (radius, radius, np.inf), rgb, planes=[[0, 0, 1, height], [0, 0, -1, 0]])


def part(solid, *planes, **changes):
    """What more planes leave of a solid."""
    return replace(solid, planes=np.vstack([solid.planes, *planes]), **changes)


@dataclass(frozen=True, eq=False)
class Thing:
    """Solids that stand together: an object of a class with its true box, or scenery.

    Args:
        solids: in the vehicle's frame.
        centre, radius: of a ball around them.
        class_name: empty for scenery.
        size_lwh_m, yaw: of the true box, which stands on the ground at `centre`.
    """

    solids: list[Solid]
    centre: np.ndarray
    radius: float
    class_name: str = ""
    size_lwh_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0

    @property
    def rotation(self):
        """(3,3) vehicle_R_box."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def stand(solids, x, y, yaw=0.0, size=(0.0, 0.0, 0.0), class_name="", radius=None):
    """Solids around the origin, stood somewhere."""
    reach = np.linalg.norm(size) / 2 + 0.2 if radius is None else radius
    thing = Thing([], np.array([x, y, size[2] / 2]), reach, class_name, size, yaw)
    return replace(thing, solids=[solid.placed(thing.rotation, np.array([x, y, 0.0])) for solid in solids])


def cast(things, start, ray, clear=None):
    """First hits of (N,3) unit rays: distance, index of the thing (-1 none), of its solid, outward normal.

    `clear` marks rays that pass through glass.
    """
    start, ray = np.asarray(start, dtype=np.float32), np.asarray(ray, dtype=np.float32)
    distance, normal = np.full(len(ray), np.inf), np.zeros_like(ray)
    owner, solid_of = np.full((2, len(ray)), -1)
    for i, thing in enumerate(things):
        to = thing.centre.astype(ray.dtype) - start
        along = dot(to, ray)
        near = np.flatnonzero((dot(to, to) - along * along < thing.radius**2) & (along > -thing.radius))
        for k, solid in enumerate(thing.solids if len(near) else ()):
            t, outward = solid.hit(start[near], ray[near])
            if solid.glass and clear is not None:
                t[clear[near]] = np.inf
            closer = t < distance[near]
            at = near[closer]
            distance[at], normal[at], owner[at], solid_of[at] = t[closer], outward[closer], i, k
    return distance, owner, solid_of, normal


def sky(ray):
    """Colour of the sky, below the horizon of a dull ground."""
    height = np.clip(ray[:, 2:] * 1.8, 0, 1)
    return np.where(ray[:, 2:] > 0, HORIZON_RGB + (ZENITH_RGB - HORIZON_RGB) * height, 0.14)


def shade(things, start, ray, sample):
    """(N,3) linear colours, and the thing that each ray meets; samples differ in where on sun and sky they look."""
    distance, owner, solid_of, normal = cast(things, start, ray)
    colour = sky(ray)
    met = np.flatnonzero(owner >= 0)
    r, n = ray[met], normal[met]
    p = start[met] + r * distance[met, None] + n * 1e-3
    base, gloss = np.zeros((len(met), 3)), np.zeros((len(met), 1))
    for i, k in {*zip(owner[met].tolist(), solid_of[met].tolist(), strict=True)}:
        solid, at = things[i].solids[k], (owner[met] == i) & (solid_of[met] == k)
        base[at] = solid.rgb(p[at]) if callable(solid.rgb) else solid.rgb
        gloss[at] = solid.gloss
    turn, dome = sample * 2.4, DOME[sample % len(DOME)]
    sun = SUN + 0.012 * np.sqrt(sample) * np.array([np.sin(turn), np.cos(turn), 0])
    lit = cast(things, p, np.broadcast_to(sun / np.linalg.norm(sun), p.shape))[1] < 0
    open_ = cast(things, p, np.broadcast_to(dome / np.linalg.norm(dome), p.shape))[1] < 0
    direct = (np.clip(n @ SUN, 0, 1) * lit)[:, None] * SUN_RGB
    ambient = (0.2 + 0.1 * n[:, 2:] + 1.3 * (open_ * np.clip(n @ dome, 0, 1))[:, None]) * SKY_RGB
    cosine = dot(r, n)[:, None]
    mirrored = gloss * (0.06 + 0.94 * (1 + np.minimum(cosine, 0)) ** 5)
    haze = 1 - np.exp(-distance[met, None] / 250)
    colour[met] = (base * (direct + ambient) * (1 - mirrored) + mirrored * sky(r - 2 * cosine * n)) * (1 - haze)
    colour[met] += haze * HORIZON_RGB
    return colour, owner


def photograph(things, camera, ego_SE3_cam, samples):
    """An (H,W,3) image with `samples` squared rays a pixel, and the (H,W) thing in the middle of each pixel, -1 sky."""
    v, u = (grid.ravel() for grid in np.mgrid[: camera.height_px, : camera.width_px])
    total, owner = np.zeros((len(u), 3)), np.zeros(len(u), dtype=np.int64)
    for i in range(0, len(u), RAYS_AT_ONCE):
        now = slice(i, i + RAYS_AT_ONCE)
        for sample in range(samples**2):
            dv, du = (np.array(divmod(sample, samples)) + 0.5) / samples - 0.5
            pixel = np.column_stack([u[now] + du, v[now] + dv, np.ones(len(u[now]))])
            ray = pixel @ np.linalg.inv(camera.K).T @ ego_SE3_cam.rotation.T
            ray /= np.linalg.norm(ray, axis=1, keepdims=True)
            colour, met = shade(things, np.broadcast_to(ego_SE3_cam.translation_m, ray.shape), ray, sample)
            total[now] += np.minimum(colour, 2.0)
            if sample == samples**2 // 2:
                owner[now] = met
    x = total / samples**2 * 0.62
    x = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)  # a film curve: dark stays dark, bright does not burn
    image = (np.clip(x, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
    return image.reshape(camera.height_px, camera.width_px, 3), owner.reshape(camera.height_px, camera.width_px)


def scan(things, ego_SE3_lidar, beams, columns, rng):
    """A revolution: (N,3) float32 points in the LiDAR's frame with 2 cm of noise, and the thing each one is on."""
    elevation = np.radians(np.linspace(-24, 4, beams))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    flat = np.cos(elevation)
    up = np.broadcast_to(np.sin(elevation), (beams, columns))
    ray = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], axis=-1).reshape(-1, 3)
    start = np.broadcast_to(ego_SE3_lidar.translation_m, ray.shape)
    distance, owner, _, _ = cast(things, start, ray, rng.random(len(ray)) < 0.9)
    back = (distance < 70) & (rng.random(len(ray)) < 0.95)
    measured = distance[back] + rng.normal(0, 0.02, np.count_nonzero(back))
    return (ray[back] * measured[:, None]).astype(np.float32), owner[back]
