"""Random numbers by name."""

import numpy as np
import pytest


@pytest.fixture
def rng_of():
    return np.random.default_rng
