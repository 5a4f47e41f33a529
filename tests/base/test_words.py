import pytest

from pointsam.base.words import counted


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
