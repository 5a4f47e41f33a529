"""Labels of a batch, and what is known of them without asking the device."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_labels import joined, labels_of  # noqa: E402


def test_the_longest_side_of_each_class_is_known(rng_of):
    labels = [labels_of(rng_of(k), 6, 9) for k in range(3)]
    boxes, clusters = joined(*labels).longest_m
    for class_id in range(3):
        sides, extents = [0.0], [0.0]
        for own in labels:
            sides += own.boxes[own.box_class == class_id, 3:5].flatten().tolist()
            for k in (own.cluster_class == class_id).nonzero()[:, 0]:
                xy = own.xyz[own.cluster_id == k, :2]
                extents += (xy.amax(dim=0) - xy.amin(dim=0)).tolist()
        assert boxes.get(class_id, 0.0) == max(sides)
        assert max(extents) <= clusters.get(class_id, 0.0) <= 2 * max(extents)


def test_labels_that_are_moved_keep_it(rng_of):
    labels = joined(labels_of(rng_of(0)))
    assert labels.map(torch.clone).longest_m == labels.longest_m


def test_without_objects_nothing_is_long(rng_of):
    assert joined(labels_of(rng_of(0), 0, 0)).longest_m == ({}, {})
