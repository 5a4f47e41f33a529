import json
import math
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import DatasetError
from pointsam.datasets.nuscenes import tables as nuscenes_tables
from pointsam.datasets.nuscenes.tables import read_rows


class Row(NamedTuple):
    token: str
    n: int


class Listed(NamedTuple):
    token: str
    n: list[float]


class Optional(NamedTuple):
    n: int = 7
    token: str = ""


@dataclass
class Indexed:
    token: str
    index: int


def read(folder, text, kind=Row):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "t.json").write_bytes(data)
    return list(read_rows(folder, "t", kind))


@pytest.fixture
def tiny_blocks(monkeypatch):
    monkeypatch.setattr(nuscenes_tables, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(nuscenes_tables, "_MAX_ROW_BYTES", 256)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=25)
@given(extra=st.lists(JSON, max_size=12), indent=st.sampled_from([None, 0, 2]), block=st.integers(1, 40))
def test_rows_are_those_of_json_whatever_the_layout_and_the_block(tmp_path_factory, extra, indent, block):
    rows = [{"x": value, "token": f"t{i}", "n": i} for i, value in enumerate(extra)]
    text = json.dumps(rows, indent=indent, ensure_ascii=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuscenes_tables, "_BLOCK_BYTES", block)
        assert read(tmp_path_factory.mktemp("t"), text) == [(row["token"], row["n"]) for row in rows]


@pytest.mark.parametrize("text", ["[]", " [ ] \n", "[\n\n]"])
def test_an_empty_list_has_no_rows(tmp_path, text):
    assert read(tmp_path, text) == []


def test_other_fields_are_ignored(tmp_path):
    assert read(tmp_path, '[{"token": "a", "n": 1, "m": [{"token": "b"}, "},{"]}]') == [("a", 1)]


def test_a_field_with_a_default_may_be_missing(tmp_path):
    rows = '[{"token": "a"}, {"token": "b", "n": 1}]'
    assert read(tmp_path, rows, Optional) == [(7, "a"), (1, "b")]
    with pytest.raises(DatasetError, match=r"row 0.*'token' is 1, expected str"):
        read(tmp_path, '[{"token": 1}]', Optional)


def test_a_row_may_be_any_class_with_annotations(tmp_path):
    assert read(tmp_path, '[{"token": "a", "index": 3}]', Indexed) == [Indexed("a", 3)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", 0),
        ("  {}", 0),
        ('{"item": {"token": "a", "n": 1}}', 0),
        ('[{"token": "a", "n": 1}', 1),
        ('[{"token": "a", "n": 1},', 1),
        ('[{"token": "a", "n": 1},]', 1),
        ('[{"token": "a", "n": 1} {', 1),
        ('[{"token": "a", "n": }]', 0),
        ('[{"token": "a", "n": 1}] []', 1),
        ("[" + '{"token": "a", "n": 1},' * 40 + "oops]", 40),
        ('[{"token": "a", "n": NaNs}]', 0),
    ],
)
def test_malformed_json_names_file_and_row(tmp_path, tiny_blocks, text, rows):
    with pytest.raises(DatasetError) as raised:
        read(tmp_path, text)
    assert raised.value.code == "DAT011"
    assert f"t.json is malformed after {rows} rows:" in raised.value.message


def test_a_row_without_end_is_given_up(tmp_path, tiny_blocks):
    """A string that is never closed must not pull gigabytes into memory."""
    with pytest.raises(DatasetError, match="after 1 rows: a row without end"):
        read(tmp_path, '[{"token": "a", "n": 1}, {"token": "' + "a" * 100_000)


@pytest.mark.parametrize("nested", ["[" * 200_000, '{"a":' * 200_000])
def test_nesting_without_end_is_given_up(tmp_path, nested):
    """ijson needs gigabytes for it."""
    with pytest.raises(DatasetError, match="after 0 rows: a row without end"):
        read(tmp_path, "[" + nested)


@pytest.mark.parametrize("block", [*range(1, 12), 64])
def test_numbers_that_are_not_finite_are_null(tmp_path, monkeypatch, block):
    """Python writes them, JSON has none: what reads the field refuses its row alone."""
    monkeypatch.setattr(nuscenes_tables, "_BLOCK_BYTES", block)
    text = '[{"token": "NaN", "n": [NaN,1, -Infinity ,NaN]}, {"token": "-Infinity", "n": [Infinity]}]'
    found = read(tmp_path, text, Listed)
    assert found == [("NaN", [None, 1, None, None]), ("-Infinity", [None])]


WORDS = [
    "samples/NaN/x.jpg",
    "a NaN b",
    'a\\" NaN "\\',
    "-Infinity,\\\\",
    "[ 12345678901234567890 ]",
    "\\",
    '"',
    "é NaN\t",
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("block", [*range(1, 60), 1 << 15])
def test_strings_stay_as_they_are_wherever_a_block_ends(tmp_path, monkeypatch, block, indent):
    monkeypatch.setattr(nuscenes_tables, "_BLOCK_BYTES", block)
    rows = [{"token": word, "n": [math.nan, word, -math.inf]} for word in WORDS]
    found = read(tmp_path, json.dumps(rows, indent=indent), Listed)
    assert found == [(word, [None, word, None]) for word in WORDS]


@pytest.mark.parametrize("block", [1, 7, 20, 64])
def test_an_integer_beyond_64_bits_does_not_reject_the_table(tmp_path, monkeypatch, block):
    monkeypatch.setattr(nuscenes_tables, "_BLOCK_BYTES", block)
    fitting = [2**62, -(2**62), 1.5, 0.12345678901234567890]
    rows = [{"token": "a", "n": [10**30, -(10**20), 10**350, *fitting]}]
    assert read(tmp_path, json.dumps(rows), Listed) == [("a", [1e30, -1e20, None, *fitting])]
    assert [type(value) for value in read(tmp_path, json.dumps(rows), Listed)[0].n[3:]] == [int, int, float, float]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"token": "a"}', r"row 1 \(token 'a'\): field 'n' is missing, expected int"),
        ('{"token": "a", "n": "1"}', r"row 1 \(token 'a'\): field 'n' is '1', expected int"),
        ('{"token": null, "n": 1}', r"row 1 \(token None\): field 'token' is None, expected str"),
        ("7", "row 1 is not a JSON object"),
    ],
)
def test_a_row_of_another_form_names_row_and_field(tmp_path, row, message):
    with pytest.raises(DatasetError, match=message) as raised:
        read(tmp_path, f'[{{"token": "z", "n": 0}}, {row}]')
    assert raised.value.code == "DAT011"


def test_text_that_is_not_utf8_is_DAT011(tmp_path):
    with pytest.raises(DatasetError, match="UTF8") as raised:
        read(tmp_path, b'["\xff\xfe"]')
    assert raised.value.code == "DAT011"


def test_a_table_that_is_a_folder_is_DAT004(tmp_path):
    (tmp_path / "t.json").mkdir()
    with pytest.raises(DatasetError, match="table cannot be read") as raised:
        list(read_rows(tmp_path, "t", Row))
    assert raised.value.code == "DAT004"
