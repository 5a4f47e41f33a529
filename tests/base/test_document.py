import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from pointsam.base.document import (
    LEFT_OUT,
    OPTIONAL,
    canonical_json,
    differences,
    document_bytes,
    document_from,
    json_values,
    parse_document,
    parse_json,
    read_document,
    write_document,
)
from pointsam.base.errors import SchemaError


@dataclass(frozen=True)
class Wheel:
    kind: Literal["front", "rear"]
    size_m: float

    def __post_init__(self):
        if self.size_m < 0:
            raise SchemaError("SCH005", f"size_m is {self.size_m}", "choose a size above 0")


@dataclass(frozen=True)
class Car:
    name: str
    doors: int
    wheels: tuple[Wheel, ...] = ()
    trailer: str | None = field(default=None, metadata=LEFT_OUT)
    owner: str | None = None


CAR = Car("é", 4, (Wheel("front", 0.5), Wheel("rear", 1)))


def refuse(why):
    return SchemaError("SCH003", f"the file: {why}", "mend it")


def parse(values):
    return parse_document(values if isinstance(values, str | bytes) else json.dumps(values), Car, refuse)


@dataclass(frozen=True)
class Boat:
    sails: tuple[Wheel, ...] = ()

    def as_dict(self):
        return {"count": len(self.sails), "all": self.sails}


def test_a_class_may_define_its_json_values():
    assert json_values([Boat((Wheel("rear", 1),))]) == [{"count": 1, "all": [{"kind": "rear", "size_m": 1}]}]


@pytest.mark.parametrize("car", [CAR, replace(CAR, trailer="big", owner="me"), replace(CAR, name="torn \udcff name")])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_written_document_is_read_back(tmp_path, car, indent):
    write_document(tmp_path / "car.json", car, indent=indent)
    found = read_document(tmp_path / "car.json", Car, refuse)
    assert replace(found, name="") == replace(car, name="")
    assert found.name == car.name.replace("\udcff", "?")


def test_equal_values_have_equal_text():
    assert (
        document_bytes(CAR)
        == (
            '{"doors":4,"name":"é","owner":null,"wheels":[{"kind":"front","size_m":0.5},{"kind":"rear","size_m":1}]}'
        ).encode()
    )
    assert canonical_json({"b": (1,), "a": CAR}) == canonical_json({"a": json_values(CAR), "b": [1]})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"doors": "4"}, "doors is wrong: input should be a valid integer, got '4'"),
        ({"doors": True}, "doors is wrong"),
        ({"doors": 4.0}, "doors is wrong"),
        ({"name": None}, "name is wrong: input should be a valid string, got None"),
        ({"dors": 4}, "dors is not a field, did you mean 'doors'?"),
        ({"wheels": [{"kind": "front"}]}, "wheels.0.size_m is missing"),
        ({"wheels": [{"kind": "front", "size_m": 1, "colour": "red"}]}, "wheels.0.colour is not a field"),
        ({"wheels": [{"kind": "front", "sizem": 1}]}, "wheels.0.sizem is not a field, did you mean 'size_m'?"),
        ({"wheels": [{"kind": "top", "size_m": 1}]}, "wheels.0.kind is wrong"),
        ({"wheels": {}}, "wheels is wrong: input should be a valid array"),
        ({"wheels": [{"kind": "front", "size_m": -1}]}, "size_m is -1"),
    ],
)
def test_a_wrong_field_is_named(change, told):
    with pytest.raises(SchemaError, match="SCH003") as caught:
        parse({"name": "a", "doors": 4, **change})
    assert caught.value.message.startswith(f"the file: {told}")


def test_a_missing_field_is_named():
    with pytest.raises(SchemaError, match="the file: doors is missing"):
        parse({"name": "a"})


@dataclass(frozen=True)
class Fleet:
    cars: dict[str, list[Car]] = field(default_factory=dict)
    colour: str = field(default="red", metadata=OPTIONAL)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "cars"),
        ({"cars": {"a": [{"name": "a", "doors": 4, "owner": None}]}}, "cars.a.0.wheels"),
        ({"cars": {"a": [], "b": [{"name": "a", "doors": 4, "wheels": []}]}}, "cars.b.0.owner"),
    ],
)
def test_a_field_with_a_default_is_missing_too_unless_people_write_the_file(tmp_path, values, name):
    with pytest.raises(SchemaError, match=f"the file: {name} is missing"):
        document_from(values, Fleet, refuse)
    (tmp_path / "fleet.json").write_text(json.dumps(values))
    with pytest.raises(SchemaError, match=f"the file: {name} is missing"):
        read_document(tmp_path / "fleet.json", Fleet, refuse)
    found = read_document(tmp_path / "fleet.json", Fleet, refuse, partial=True)
    assert found == document_from(values, Fleet, refuse, partial=True)
    assert found.colour == "red"


def test_a_stored_document_may_lack_an_optional_field():
    assert document_from({"cars": {}}, Fleet, refuse) == Fleet()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": ' + "[" * 100_000, "nested too deeply"),
        ('{"name": "a", "doors": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"name": "a", "name": "b", "doors": 4}', "the key 'name' is there twice"),
        ('{"name": "a", "doors": NaN}', "NaN is not a JSON number"),
        ("[1]", "the document is wrong"),
        ("null", "the document is wrong"),
    ],
)
def test_text_that_is_not_a_document_is_refused(text, told):
    with pytest.raises(SchemaError, match=f"the file: .*{told}"):
        parse(text)


def test_a_missing_file_is_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SchemaError, match="the file: cannot be read"):
            read_document(path, Car, refuse)


def test_an_older_document_is_upgraded_before_it_is_checked():
    def upgrade(values):
        return {"doors" if name == "gates" else name: value for name, value in values.items()}

    assert parse_document('{"name": "a", "gates": 3, "wheels": [], "owner": null}', Car, refuse, upgrade) == Car("a", 3)


def test_differences_are_listed_by_field():
    other = replace(CAR, doors=2, trailer="big")
    assert differences(CAR, other) == ["doors: 4 -> 2", 'trailer: unset -> "big"']


def test_json_is_nested_up_to_a_depth():
    assert parse_json("[" * 50 + "]" * 50)


def test_defining_documents_does_not_load_pydantic():
    code = "import sys, pointsam, pointsam.store.reader, pipelines.documents; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("number", ["1e400", "-1e999"])
def test_a_number_that_is_too_large_is_refused(number):
    with pytest.raises(ValueError, match="too large"):
        parse_json(f'{{"a": [{number}]}}')
