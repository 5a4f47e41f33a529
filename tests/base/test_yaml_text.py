import pytest

from pointsam.base.yaml_text import MOST_BYTES, parse_yaml, yaml_text


def test_scalars_are_those_of_yaml_1_2():
    text = b"{a: 1e-3, b: -2, c: yes, d: 12:30, e: 2026-11-30, f: 007, g: true, h: ~, i: .5, j: , 5: x, k: .inf}"
    values = parse_yaml(text)
    assert values == {
        "a": 1e-3,
        "b": -2,
        "c": "yes",
        "d": "12:30",
        "e": "2026-11-30",
        "f": 7.0,
        "g": True,
        "h": None,
        "i": 0.5,
        "j": None,
        "5": "x",
        "k": ".inf",
    }


def test_what_is_written_is_read_back_equal():
    values = {"a": [1.0, 1e-20, 1 / 3, "1", "true", None], "b": {"c": [[1, 2], [3, 4]], "n": "2026-11-30"}, "d": []}
    assert parse_yaml(yaml_text(values).encode()) == values


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: 1\na: 2", "line 2: the key 'a' is there twice"),
        (b"a: &x [1]\nb: *x", "line 2: aliases"),
        (b"a: !!python/object/apply:os.system [ls]", "line 1: could not determine a constructor"),
        (b"a: [1, 2", "line 1: "),
        (b"? [a]\n: 1", "line 1: a key must be a text"),
        (b"a: 1\nb: 1e999", "line 2: 1e999 is too large"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"[" * 100, "too deeply"),
        (b" " * (MOST_BYTES + 1), "too many"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_place(content, problem):
    with pytest.raises(ValueError, match=problem):
        parse_yaml(content)
