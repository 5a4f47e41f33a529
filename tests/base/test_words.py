import pytest

from pointsam.base.words import counted, did_you_mean, duration


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "frame", "0 frames"),
        (1, "frame", "1 frame"),
        (2, "frame", "2 frames"),
        (1, "ground-truth box", "1 ground-truth box"),
        (2, "ground-truth box", "2 ground-truth boxes"),
        (3, "process", "3 processes"),
    ],
)
def test_a_noun_follows_its_number(number, noun, text):
    assert counted(number, noun) == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pedestrain", ", did you mean 'Pedestrian'?"), ("CAR", ", did you mean 'car'?"), ("zebra", "")],
)
def test_the_nearest_name_is_offered(name, expected):
    assert did_you_mean(name, ("car", "Pedestrian")) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 seconds"), (59, "59.0 seconds"), (90, "1.5 minutes"), (9e3, "2.5 hours")]
)
def test_a_duration_has_the_unit_that_suits_it(seconds, text):
    assert duration(seconds) == text
