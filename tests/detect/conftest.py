"""A tiny data set, its labels and its budget."""

import socket

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


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
