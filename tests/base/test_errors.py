import pickle

import pytest

from pointsam.base import errors

KINDS = (errors.PointSamError, *errors.PointSamError.__subclasses__())


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling(kind):
    error = pickle.loads(pickle.dumps(kind("DAT004", "a.jpg: image is missing", "complete the download")))
    assert type(error) is kind
    assert (error.code, error.message, error.hint) == ("DAT004", "a.jpg: image is missing", "complete the download")


def test_the_text_of_an_error_has_code_message_and_hint():
    error = errors.DatasetError("DAT004", "a.jpg: image is missing", "complete the download")
    assert str(error) == "[DAT004] a.jpg: image is missing\n  hint: complete the download"
