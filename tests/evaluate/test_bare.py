"""LiDAR components of an object's size, with and without a cluster."""

from dataclasses import replace

import numpy as np
from helpers.track_worlds import Thing, labelled, world

from pointsam.evaluate.bare import bare_components
from pointsam.taxonomy import BACKGROUND, NUSCENES, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

CAR, LOST = Thing((10.0, -4.0)), Thing((20.0, 3.0), missed=(0,))
SLAB = Thing((28.0, -8.0), size_m=(25.0, 1.8, 1.5), missed=(0,))
KERB = Thing((15.0, -9.0), size_m=(4.0, 1.8, 0.3), missed=(0,))


def first(*things):
    return world(*things, count=1)[0]


def counted(*things, **changes):
    frame, points, found, _ = first(*things)
    return bare_components(frame, points, replace(found, **changes), NUSCENES)


def test_components_of_an_objects_size_are_counted():
    assert counted(CAR) == (1, 0)
    assert counted(CAR, LOST) == (2, 1)
    assert counted(CAR, LOST, SLAB, KERB) == (2, 1)
    assert counted() == (0, 0)


def test_what_no_camera_sees_is_not_counted():
    frame, points, found, which = first(CAR, LOST)
    views = np.where(which == 1, 0, found.views).astype(np.uint8)
    assert bare_components(frame, points, replace(found, views=views), NUSCENES) == (1, 0)


def test_a_few_labelled_points_do_not_make_a_cluster():
    frame, points, found, which = first(CAR, LOST)
    ids, classes = found.labels.instance_id.copy(), found.labels.class_id.copy()
    its = np.flatnonzero(which == 0)
    for kept, bare in ((len(its) // 20, 2), (len(its) // 5, 1)):
        ids[its[kept:]], classes[its[kept:]] = NO_INSTANCE, BACKGROUND
        ids[its[:kept]], classes[its[:kept]] = 0, NUSCENES.class_id("car")
        few = labelled(frame, points, PointLabels(ids.copy(), classes.copy()))
        assert bare_components(frame, points, few, NUSCENES) == (2, bare)


def test_classes_without_a_size_have_no_components():
    frame, points, found, _ = first(CAR)
    own = [replace(spec, name=f"own{k}", size_lwh_m=None) for k, spec in enumerate(NUSCENES.classes)]
    assert bare_components(frame, points, found, Taxonomy("sizeless", tuple(own))) == (0, 0)
