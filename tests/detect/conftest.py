"""Random numbers by name."""

import socket

import numpy as np
import pytest


@pytest.fixture
def rng_of():
    return np.random.default_rng


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
