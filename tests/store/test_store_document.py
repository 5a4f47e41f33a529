import hashlib

import pytest

from pointsam.base.document import canonical_json, differences, digest


def test_the_canonical_text_is_sorted_and_without_spaces():
    assert canonical_json({"b": [1, 2.5], "a": {"é": None, "c": True}}) == '{"a":{"c":true,"é":null},"b":[1,2.5]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_a_digest_is_that_of_the_text():
    assert digest({}) == hashlib.sha256(b"{}").hexdigest()
    assert digest({"é": 1}) == hashlib.sha256('{"é":1}'.encode()).hexdigest()


def test_differences_are_dotted_fields_in_order():
    old = {"same": 1, "b": {"x": 1, "y": {"z": "t"}}, "gone": None, "list": [1, 2], "empty": {}}
    new = {"same": 1, "b": {"x": 2, "y": {"z": "t"}}, "a": 0.5, "list": [2, 1], "empty": {"now": 3}}
    assert differences(old, new) == [
        "a: unset -> 0.5",
        "b.x: 1 -> 2",
        "empty: {} -> unset",
        "empty.now: unset -> 3",
        "gone: null -> unset",
        "list: [1,2] -> [2,1]",
    ]
    assert differences(old, old) == []
