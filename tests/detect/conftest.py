"""A tiny data set, its labels and its budget."""

import pytest


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny data set of eight frames; its labels and budget beside it."""
    from helpers.training import make_world

    return make_world(tmp_path_factory.mktemp("world") / "root")


@pytest.fixture(scope="module")
def labels(world, tmp_path_factory):
    from helpers.training import make_labels

    return make_labels(tmp_path_factory.mktemp("labels") / "out", world)


@pytest.fixture(scope="module")
def budget(world):
    from helpers.training import make_budget

    return make_budget(world)
