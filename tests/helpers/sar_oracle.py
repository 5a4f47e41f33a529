"""Reference implementation of refinement: all pairs of points, then loops over masks and components."""

import numpy as np
from scipy.sparse.csgraph import connected_components


def refine_slowly(xyz, instance_id, class_id, taxonomy, config, cameras=None, ring_gap_rad=0.0):
    """Returns (instance_id, class_id); ids are ordered by (-size, first point)."""
    on = np.flatnonzero(instance_id >= 0)
    p, s, q = xyz[on, : config.dims].astype(np.float64), class_id[on].astype(int), instance_id[on].astype(int)
    out_id, out_class = np.full(len(instance_id), -1), np.full(len(instance_id), 255)
    if len(on) == 0:
        return out_id, out_class

    d2 = sum((a[:, None] - a[None, :]) ** 2 for a in p.T)
    floor = np.array([spec.link_floor_m for spec in taxonomy.classes])[s]
    coefficient = np.where(floor >= 1, np.maximum(config.range_coef, config.rings * ring_gap_rad), config.range_coef)
    reach = coefficient * np.sqrt(sum(a**2 for a in p.T))
    t = np.maximum(np.maximum.outer(reach, reach), np.minimum.outer(floor, floor))
    edge = d2 < t * t
    same_class, same_mask = np.equal.outer(s, s), np.equal.outer(q, q)
    if config.split_classes:
        vehicle = np.array([spec.vehicle for spec in taxonomy.classes])[s]
        edge &= same_class | np.logical_and.outer(vehicle, vehicle)
    crowd = np.array([spec.crowd for spec in taxonomy.classes])[s]
    edge &= ~(same_class & crowd[:, None] & ~same_mask)
    if config.same_image_veto:
        edge &= same_mask | (np.bitwise_and.outer(cameras[q], cameras[q]) == 0)
    _, k = connected_components(edge, directed=False)

    owner = q.copy()
    for mask in np.unique(q):
        home = max(np.unique(k[q == mask]), key=lambda c: (np.sum((k == c) & (q == mask)), -np.flatnonzero(k == c)[0]))
        owner[(q == mask) & (k != home)] = -1
    objects = []
    for c in np.unique(k):
        members = np.flatnonzero(k == c)
        here = owner[members]
        best = max(np.unique(here), key=lambda m: (np.sum(here == m), m >= 0, -np.argmax(here == m)))
        if best >= 0 and len(members) >= config.min_points:
            objects.append((members, np.bincount(s[members[here == best]]).argmax()))
    for number, (members, winner) in enumerate(sorted(objects, key=lambda o: (-len(o[0]), o[0][0]))):
        out_id[on[members]], out_class[on[members]] = number, winner
    return out_id, out_class
