import pickle

import pytest

from pointsam.base import errors

KINDS = (errors.PointSamError, *errors.PointSamError.__subclasses__())


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_reaches_another_process_as_it_is(kind):
    error = pickle.loads(pickle.dumps(kind("DAT004", "a.jpg: image is missing", "complete the download")))
    assert type(error) is kind
    assert (error.code, error.message, error.hint) == ("DAT004", "a.jpg: image is missing", "complete the download")


def test_an_error_says_what_is_wrong_and_the_way_out():
    error = errors.DatasetError("DAT004", "a.jpg: image is missing", "complete the download")
    assert str(error) == "[DAT004] a.jpg: image is missing\n  hint: complete the download"
