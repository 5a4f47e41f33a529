"""Lens, sensor and tone curve of a camera: from light to 8-bit values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from pointsam.base.arrays import FloatArray
from pointsam.synth.light import Weather

F32 = NDArray[np.float32]

VIGNETTE = 0.10
"""Vignetting in the corners."""
BLUR = 0.12
"""Weight of each neighbour: a Gaussian of sigma 0.5 px."""
WHITE = 5.0
"""Exposed light that maps to 255."""
GREY = 0.33
"""Exposed light of middle grey."""
CONTRAST = 1.25
"""Values above 1 darken what is darker than GREY."""
VEIL = 0.005
"""Stray light inside the lens: blacks of real images are not 0."""
_STEPS = 4095


def tone(x: FloatArray) -> FloatArray:
    """Filmic tone curve from exposed light to [0,1], before gamma: toe, contrast around GREY, roll-off to WHITE."""
    curved = GREY * (np.asarray(x) / GREY) ** CONTRAST
    white = GREY * (WHITE / GREY) ** CONTRAST
    shown: FloatArray = curved * (1 + curved / white**2) / (1 + curved)
    return shown


def _curve() -> NDArray[np.uint8]:
    """Lookup table of 8-bit values over steps of sqrt(x / WHITE)."""
    x = (np.arange(_STEPS + 1) / _STEPS) ** 2 * WHITE
    y = np.clip(tone(x), 0, 1) ** (1 / 2.2)
    curve: NDArray[np.uint8] = np.round(255 * y).astype(np.uint8)
    return curve


def meter(light: F32, weather: Weather) -> float:
    """Exposure that brings the mean of the image most of the way to the key of the weather.

    Args:
        light: (N,3) linear.
        weather: gives the initial exposure and the key.
    """
    sample = light[:: max(1, len(light) // 20_000)]
    low, high = -2.0, 2.0  # doublings
    for _ in range(12):
        mid = (low + high) / 2
        mean = float(np.mean(np.clip(tone(sample * (weather.exposure * 2**mid)), 0, 1) ** (1 / 2.2)))
        low, high = (mid, high) if mean < weather.key else (low, mid)
    return float(weather.exposure * 2 ** (0.75 * low))


def develop(light: F32, exposure: float, noise: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Develop an image.

    Args:
        light: (H,W,3) float32 linear; overwritten.
        exposure: exposure of the sensor.
        noise: `Weather.noise`.
        rng: random generator of the noise.

    Returns:
        (H,W,3) uint8.
    """
    height, width = light.shape[:2]
    y = (np.arange(height, dtype=np.float32) / max(height - 1, 1) - np.float32(0.5)) * np.float32(height / width)
    x = np.arange(width, dtype=np.float32) / max(width - 1, 1) - np.float32(0.5)
    corner = np.float32(0.25 * (1 + (height / width) ** 2))
    fall = 1 - np.float32(VIGNETTE) * (x[None] ** 2 + y[:, None] ** 2) / corner
    light *= (fall * np.float32(exposure))[:, :, None]
    _glare(light)
    light += np.float32(VEIL)
    _noise(light, noise, rng)
    _blur(light)
    np.clip(light, 0, WHITE, out=light)
    light *= np.float32(1 / WHITE)
    np.sqrt(light, out=light)
    light *= np.float32(_STEPS)
    return _curve()[light.astype(np.uint16)]


def _glare(light: F32) -> None:
    """Add halos around bright pixels."""
    height, width = light.shape[:2]
    side = max(1, width // 200)
    rows, columns = height // side, width // side
    bright = light[: rows * side, : columns * side].max(axis=2)
    if not (bright > WHITE).any():
        return
    blocks = light[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    excess = np.minimum(np.maximum(blocks - np.float32(1.5), 0), np.float32(30)).mean(axis=(1, 3))
    for k in range(3):
        halo = 0.10 * gaussian_filter(excess[:, :, k], 1.2) + 0.08 * gaussian_filter(excess[:, :, k], 5)
        light[:, :, k] += np.asarray(Image.fromarray(halo).resize((width, height), Image.Resampling.BILINEAR))


def _noise(light: F32, level: float, rng: np.random.Generator) -> None:
    """Add shot noise, which grows with the light, and read noise; `level` is `Weather.noise`."""
    if level <= 0:
        return
    blurred = 0.6  # compensates for the blur
    variance = (level / 0.55 / blurred) ** 2
    for row in range(0, len(light), 32):
        band = light[row : row + 32]
        grain = rng.standard_normal(band.shape, dtype=np.float32)
        grain[:, :, ::2] += 0.9 * grain[:, :, 1:2]  # demosaicking spreads green over red and blue
        grain[:, :, ::2] *= np.float32(0.74)
        grain *= np.sqrt(np.maximum(band, 0) * np.float32(variance / GREY) + np.float32(variance * 0.01))
        band += grain


def _blur(light: F32) -> None:
    """Blur in place along both axes; border pixels are unchanged."""
    centre, side = np.float32(1 - 2 * BLUR), np.float32(BLUR)
    for row in range(0, len(light), 32):
        band = light[row : row + 32]
        around = (band[:, :-2] + band[:, 2:]) * side
        band[:, 1:-1] *= centre
        band[:, 1:-1] += around
    above = light[0].copy()
    for row in range(1, len(light) - 1, 32):
        stop = min(row + 32, len(light) - 1)
        around = np.concatenate([above[None], light[row : stop - 1]]) + light[row + 1 : stop + 1]
        above = light[stop - 1].copy()
        light[row:stop] *= centre
        light[row:stop] += around * side
