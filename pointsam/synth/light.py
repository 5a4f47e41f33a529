"""Weather: sun, sky, lamps and camera settings. Light is linear; a white wall that faces the noon sun has 1."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.synth.material import Rgb
from pointsam.synth.texture import tile_noise

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class PointLight:
    """A lamp, in the frame of the snapshot.

    Args:
        position_m: (x, y, z).
        rgb: light on a surface that faces the lamp at 1 m; it falls with the square of the distance.
        reach_m: distance beyond which it is 0.
        direction: axis of a spot (any length), None for light in all directions.
        cone_deg: half angle of the spot, with a soft edge inside.
        clear_m: surfaces within this distance of the lamp (its own housing) cast no shadow.
    """

    position_m: tuple[float, float, float]
    rgb: Rgb
    reach_m: float = 18.0
    direction: tuple[float, float, float] | None = None
    cone_deg: float = 35.0
    clear_m: float = 0.6


@dataclass(frozen=True)
class Weather:
    """Light and camera at one time of one day.

    Args:
        name: key of WEATHERS.
        sun_direction: unit vector of the world frame towards the sun (or moon).
        sun_rgb: light on a surface that faces it; zeros if clouds hide it.
        zenith_rgb, horizon_rgb: radiance of the clear sky.
        cloud_rgb: radiance of the brightest clouds.
        clouds: fraction of the sky that they cover, in [0,1].
        ambient_rgb: light of the whole sky on level ground.
        bounce_rgb: light from the ground on a surface that looks down.
        haze_m: distance at which haze absorbs 63 % of the light of an object.
        exposure: initial exposure of the camera.
        lamps_lit: whether emitting surfaces and point lights are on.
        wetness: strength of reflections on the ground, in [0,1].
        key: target of the auto-exposure: mean of the image, of full scale.
        noise: standard deviation of the camera's noise at middle grey, of full scale.
        sky_shift: (2,) shift of the clouds.
    """

    name: str
    sun_direction: tuple[float, float, float]
    sun_rgb: Rgb
    zenith_rgb: Rgb
    horizon_rgb: Rgb
    cloud_rgb: Rgb
    clouds: float
    ambient_rgb: Rgb
    bounce_rgb: Rgb
    haze_m: float
    exposure: float
    lamps_lit: bool = False
    wetness: float = 0.0
    key: float = 0.43
    noise: float = 0.006
    sky_shift: tuple[float, float] = (0.0, 0.0)


_UP = (0.5, 0.0, 0.8660254)
WEATHERS: dict[str, Weather] = {
    "day": Weather(
        "day",
        _UP,
        sun_rgb=(0.95, 0.88, 0.77),
        zenith_rgb=(0.135, 0.185, 0.25),
        horizon_rgb=(0.36, 0.40, 0.43),
        cloud_rgb=(0.60, 0.605, 0.60),
        clouds=0.3,
        ambient_rgb=(0.20, 0.225, 0.245),
        bounce_rgb=(0.13, 0.125, 0.11),
        haze_m=2600,
        exposure=2.3,
    ),
    "overcast": Weather(
        "overcast",
        _UP,
        sun_rgb=(0.0, 0.0, 0.0),
        zenith_rgb=(0.34, 0.36, 0.39),
        horizon_rgb=(0.50, 0.52, 0.54),
        cloud_rgb=(0.58, 0.59, 0.60),
        clouds=0.8,
        ambient_rgb=(0.42, 0.44, 0.46),
        bounce_rgb=(0.08, 0.08, 0.08),
        haze_m=1300,
        exposure=3.4,
        noise=0.007,
    ),
    "night": Weather(
        "night",
        _UP,
        sun_rgb=(0.0, 0.0, 0.0),
        zenith_rgb=(0.003, 0.0035, 0.005),
        horizon_rgb=(0.012, 0.0105, 0.010),
        cloud_rgb=(0.010, 0.009, 0.009),
        clouds=0.3,
        ambient_rgb=(0.017, 0.017, 0.019),
        bounce_rgb=(0.010, 0.009, 0.007),
        haze_m=1500,
        exposure=4.0,
        lamps_lit=True,
        key=0.27,
        noise=0.016,
    ),
    "rain": Weather(
        "rain",
        _UP,
        sun_rgb=(0.0, 0.0, 0.0),
        zenith_rgb=(0.24, 0.25, 0.27),
        horizon_rgb=(0.36, 0.37, 0.385),
        cloud_rgb=(0.33, 0.34, 0.36),
        clouds=0.9,
        ambient_rgb=(0.27, 0.28, 0.30),
        bounce_rgb=(0.04, 0.04, 0.04),
        haze_m=420,
        exposure=4.2,
        lamps_lit=True,
        wetness=0.8,
        key=0.40,
        noise=0.009,
    ),
}


def draw_weather(name: str, rng: np.random.Generator) -> Weather:
    """Draw a day of a kind of weather, with its own sun, clouds and camera settings.

    Raises:
        SchemaError: SCH005 if there is no such weather.
    """
    if name not in WEATHERS:
        raise SchemaError("SCH005", f"no weather is called {name!r}", f"one of {', '.join(WEATHERS)}")
    usual = WEATHERS[name]
    elevation, azimuth = np.radians(rng.uniform(25, 60)), rng.uniform(0, 2 * np.pi)
    flat = np.cos(elevation)
    low = float((np.radians(60) - elevation) / np.radians(35))  # 1 for the lowest sun, which is warmer and weaker
    red, green, blue = usual.sun_rgb
    return replace(
        usual,
        sun_direction=(float(flat * np.cos(azimuth)), float(flat * np.sin(azimuth)), float(np.sin(elevation))),
        sun_rgb=(red * (1 - 0.05 * low), green * (1 - 0.10 * low), blue * (1 - 0.20 * low)),
        clouds=float(np.clip(usual.clouds + rng.uniform(-0.25, 0.2), 0, 1)),
        haze_m=float(usual.haze_m * np.exp(rng.normal(0, 0.25))),
        exposure=float(usual.exposure * np.exp(rng.normal(0, 0.08)) * (1 + 0.15 * low)),
        wetness=float(np.clip(usual.wetness * rng.uniform(0.7, 1.2), 0, 1)),
        noise=float(usual.noise * np.exp(rng.normal(0, 0.15))),
        sky_shift=(float(rng.uniform()), float(rng.uniform())),
    )


def sky_rgb(direction: F32, weather: Weather) -> F32:
    """Radiance of the sky.

    Args:
        direction: (N,3) unit vectors in the world frame; those below the horizon have its radiance.
        weather: weather of the day.

    Returns:
        (N,3) float32, linear.
    """
    x, y, z = np.asarray(direction, dtype=np.float32).T
    up = np.maximum(z, 0)
    horizon, zenith = (np.array(c, np.float32)[:, None] for c in (weather.horizon_rgb, weather.zenith_rgb))
    rgb = zenith + (horizon - zenith) * np.exp(-up * 4.5)
    towards = np.maximum(sum(a * np.float32(s) for a, s in zip((x, y, z), weather.sun_direction, strict=True)), 0)
    sun = np.array(weather.sun_rgb, np.float32)[:, None]
    rgb += sun * (0.10 * towards**8 + 0.5 * towards**180)
    if weather.clouds > 0.02:
        _add_clouds(rgb, np.stack([x, y, up]), weather)
    return np.ascontiguousarray(rgb.T)


def _add_clouds(rgb: F32, way: F32, weather: Weather) -> None:
    """Blend clouds into (3,N) in place; thin clouds are brighter towards the sun."""
    flat = 1 / (way[2] + np.float32(0.22))
    u, v = way[:2] * flat * np.float32(0.09) + np.array(weather.sky_shift, np.float32)[:, None]
    blur = 0.0025  # one value for all rays: a change of sharpness would show as a line
    big, fine = tile_noise(u, v, blur * 2), tile_noise(u * 3.1 + 0.37, v * 3.1, blur)
    thick = 0.8 * big + 0.2 * fine
    sunwards = np.array(weather.sun_direction, np.float32) * np.float32(0.022)
    shade = tile_noise(u + sunwards[0], v + sunwards[1], blur * 4)
    edge = np.float32(0.5 + 0.5 * (0.5 - weather.clouds))
    cover = np.clip((thick - edge) * np.float32(9 - 6 * weather.clouds), 0, 1) * np.clip(way[2] * 16, 0, 1)
    cover *= cover * (3 - 2 * cover)
    lit = np.clip(0.82 + 1.5 * (big - shade) - 0.7 * (thick - edge) + 0.6 * (fine - 0.5), 0.5, 1.1)
    rgb += cover * (np.array(weather.cloud_rgb, np.float32)[:, None] * lit - rgb)
