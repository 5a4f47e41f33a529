"""A street corner with cars, a truck and people, of the primitives of raycast.py."""

import numpy as np
from raycast import Solid, Thing, ball, box, part, post, prism, stand

WALL_M = 19.5
GLASS, TYRE, RIM, DARK = (0.03, 0.04, 0.05), (0.02, 0.02, 0.022), (0.42, 0.43, 0.45), (0.03, 0.03, 0.035)


def wheels(stations, track, radius):
    """Tyres and rims."""
    out = []
    for x in stations:
        for side in (1, -1):
            for r, inner, outer, rgb, gloss in ((1, 0.2, 0, TYRE, 0), (0.62, 0.1, -0.012, RIM, 0.3)):
                ends = [[0, side, 0, track - outer], [0, -side, 0, inner - track]]
                out.append(ball((x, 0, radius), (radius * r, np.inf, radius * r), rgb, planes=ends, gloss=gloss))
    return out


def car(rgb):
    """A hatchback 4.3 m long: glass on all sides, seats inside."""
    side_xz = [(-2.05, 0.22), (2.0, 0.22), (2.15, 0.4), (2.1, 0.7), (1.05, 0.94), (-2.05, 0.98), (-2.15, 0.6)]
    hull = prism(side_xz, 0.88, rgb, 0.06, gloss=0.5)
    roof_xz = [(-1.95, 0.94), (1.1, 0.92), (0.3, 1.43), (-0.1, 1.49), (-1.1, 1.48), (-1.55, 1.38)]
    glass = prism(roof_xz, 0.8, GLASS, 0.32, gloss=0.9, glass=True)
    frame = prism([(x * 1.008, z + 0.012) for x, z in roof_xz], 0.812, rgb, 0.32, gloss=0.5)
    parts = [hull, glass, part(frame, [0, 0, -1, -1.41])]
    for side in (1, -1):
        flank = [0, -side, 0, -0.56]
        parts += [part(frame, flank, [*-plane[:3], 0.09 - plane[3]]) for plane in frame.planes[[1, 5]]]
        parts.append(part(frame, flank, [1, 0, 0, -0.28], [-1, 0, 0, 0.37], rgb=DARK))
        for low, high, half, inset, colour, gloss in (
            ((-2.14, 0.66), (-1.9, 0.82), 0.17, 0.66, (0.5, 0.02, 0.02), 0.4),  # rear light
            ((1.9, 0.55), (2.15, 0.68), 0.19, 0.62, (0.85, 0.85, 0.8), 0.6),  # head light
            ((0.72, 0.93), (0.86, 1.05), 0.08, 0.93, rgb, 0.3),  # mirror
            ((-0.12, 0.9), (0.0, 1.2), 0.22, 0.36, DARK, 0.0),  # front seat
            ((0.18, 0.8), (0.2, 0.82), 0.02, 0.885, DARK, 0.0),  # door handle
        ):
            ys = side * inset - half, side * inset + half
            parts.append(box((low[0], ys[0], low[1]), (high[0], ys[1], high[1]), colour, gloss=gloss))
    parts += [box((-1.2, -0.6, 0.9), (-1.1, 0.6, 1.1), DARK), box((-2.17, -0.84, 0.26), (2.165, 0.84, 0.42), DARK)]
    return parts + wheels((-1.3, 1.33), 0.9, 0.33)


def van(rgb, stripe):
    """A box truck 5.6 m long."""
    cab = prism([(1.2, 0.4), (2.78, 0.4), (2.8, 1.1), (2.35, 1.95), (1.2, 1.98)], 0.95, rgb, 0.05, gloss=0.4)
    pane_xz = [(1.5, 1.12), (2.81, 1.12), (2.42, 1.84), (1.5, 1.84)]
    pane = prism(pane_xz, 0.962, GLASS, 0.05, gloss=0.9, glass=True)

    def livery(p):
        return np.where(np.abs(p[:, 2:] - 0.75) < 0.12, np.array(stripe), np.array(rgb))

    cargo = box((-2.8, -1.05, 0.55), (1.15, 1.05, 2.75), livery, gloss=0.12)
    frame = box((-2.7, -0.9, 0.38), (2.81, 0.9, 0.58), DARK)
    return [cab, pane, cargo, frame, *wheels((-1.8, 2.0), 0.98, 0.42)]


def person(coat, trousers, stride):
    """An adult, walking along x."""
    parts = [
        ball((0, 0, 1.17), (0.14, 0.21, 0.34), coat),
        ball((0, 0, 1.63), (0.1, 0.085, 0.13), (0.55, 0.36, 0.26)),
        ball((-0.025, 0, 1.675), (0.105, 0.095, 0.105), (0.06, 0.045, 0.035)),
    ]
    for side in (1, -1):
        swing = side * stride
        parts.append(ball((swing, side * 0.09, 0.48), (0.1, 0.09, 0.5), trousers, -swing * 2.0))
        parts.append(ball((2 * swing + 0.05, side * 0.09, 0.05), (0.14, 0.06, 0.06), DARK))
        parts.append(ball((-swing * 0.6, side * 0.24, 1.12), (0.07, 0.065, 0.32), coat, swing * 2.2))
    return parts


def tree(height):
    """A trunk and lumps of leaves."""
    lumps = [
        (0, 0, 0, 1.1),
        (0.5, 0.7, -0.5, 0.8),
        (-0.4, -0.8, -0.4, 0.85),
        (0.1, -0.3, 0.7, 0.75),
        (-0.6, 0.4, 0.2, 0.8),
    ]
    crown = [ball((x, y, height + z), (r, r, 0.85 * r), (0.05, 0.115, 0.03)) for x, y, z, r in lumps]
    return [post(0.13, height, (0.1, 0.07, 0.05)), *crown]


def road(p):
    """Asphalt with markings."""
    x, y = p[:, 0], p[:, 1]
    line = (np.abs(x - 12.8) < 0.07) & (np.mod(y, 4.0) < 2.0) | (np.abs(x - 16.0) < 0.06)
    line |= (np.abs(x - 8.35) < 0.2) & (y > -1.9) & (y < 1.55) | (np.abs(y - 1.7) < 0.07) & (x < 8.5)
    return np.where(line[:, None], 0.55, np.array([0.085, 0.088, 0.096]))


def paving(p):
    """Slabs."""
    seam = (np.mod(p[:, :2], 0.75) < 0.03).any(axis=1)
    return np.where(seam[:, None], 0.17, np.array([0.24, 0.232, 0.22]))


def bricks(p):
    """A garden wall."""
    y, z = p[:, 1], p[:, 2]
    seam = (np.mod(z, 0.16) < 0.02) | (np.mod(y + 0.25 * np.mod(np.floor(z / 0.16), 2), 0.5) < 0.025)
    return np.where(seam[:, None], np.array([0.24, 0.19, 0.16]), np.array([0.27, 0.115, 0.075]))


def house(low, high, top, rgb):
    """Plaster with windows under a gabled roof."""

    def front(p):
        y, z = np.abs(np.mod(p[:, 1], 2.6) - 1.3), np.abs(np.mod(p[:, 2] - 0.4, 2.9) - 1.6)
        colour = np.where(((y < 0.6) & (z < 0.8))[:, None], 0.55, np.array(rgb))
        return np.where(((y < 0.5) & (z < 0.7))[:, None], np.array([0.05, 0.07, 0.1]), colour)

    slopes = [[s * 0.55, 0, 0.83, s * 0.55 * x + 0.83 * top] for s, x in ((-1, 24.7), (1, 33.3))]
    ends = [[0, 0, -1, -top], [0, 1, 0, high + 0.2], [0, -1, 0, 0.2 - low]]
    return [box((25, low, 0), (33, high, top), front), Solid(np.array(slopes + ends), (0.12, 0.05, 0.035))]


def street():
    """Objects first, then scenery."""
    car_m, van_m, adult_m = (4.33, 1.8, 1.5), (5.62, 2.1, 2.75), (0.75, 0.65, 1.78)
    blue, red, white, green = (0.2, 0.3, 0.44), (0.42, 0.035, 0.025), (0.66, 0.66, 0.64), (0.03, 0.26, 0.24)
    things = [
        stand(person((0.6, 0.34, 0.03), (0.03, 0.04, 0.09), 0.15), 8.6, -2.7, 1.3, adult_m, "pedestrian"),
        stand(person((0.09, 0.2, 0.3), (0.09, 0.08, 0.07), 0.05), 8.1, -3.7, 0.5, adult_m, "pedestrian"),
        stand(car(blue), 10.9, 0.4, -np.pi / 2, car_m, "car"),
        stand(person((0.4, 0.4, 0.38), (0.16, 0.03, 0.03), 0.15), 9.9, 4.85, -1.5, adult_m, "pedestrian"),
        stand(car(red), 14.5, 4.9, np.pi / 2, car_m, "car"),
        stand(van(white, green), 14.5, -6.3, np.pi / 2, van_m, "truck"),
        stand(person((0.08, 0.3, 0.14), (0.12, 0.1, 0.08), 0.14), 17.6, -1.6, 1.6, adult_m, "pedestrian"),
    ]
    trees = [
        stand(tree(3.2 + 0.4 * k), x, y, radius=7.0) for k, (x, y) in enumerate([(21.6, 4.4), (22.3, -13), (22, 12)])
    ]
    ground = [
        box((16.3, -60, 0), (60, 60, 0.12), paving),
        box((-20, -30, 0), (8.9, -2.2, 0.12), paving),
        box((-20, 5.0, 0), (8.9, 30, 0.12), paving),
        Solid(np.array([[0, 0, 1.0, 0]]), road),
    ]
    wall = [box((WALL_M, -60, 0), (WALL_M + 0.3, 60, 1.9), bricks)]
    wall.append(box((WALL_M - 0.06, -60, 1.9), (WALL_M + 0.36, 60, 2.0), (0.33, 0.31, 0.28)))
    houses = house(-26, -9.2, 7.2, (0.42, 0.36, 0.27)) + house(-9, 2.2, 5.6, (0.36, 0.24, 0.18))
    houses += house(6.5, 24, 6.4, (0.36, 0.38, 0.4))
    lamp = stand([post(0.06, 5.5, DARK)], 8.6, 5.3, radius=6.0)
    return [*things, *trees, lamp, *(Thing(solids, np.zeros(3), np.inf) for solids in (ground, wall, houses))]
