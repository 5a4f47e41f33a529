"""Digests of code: equal for equal sources, in every kind of installation."""

import importlib
import re
import zipfile

import pytest

from pointsam.base.code import requirements, source_digest, versions


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes a package on the search path and returns the digest of its parts."""
    made = []

    def write(files, parts=("a.py", "sub"), packed=False):
        name = re.sub(r"\W", "_", f"{tmp_path.name}_{len(made)}")  # results are cached by name
        place = tmp_path / name
        for path, content in {"__init__.py": b"", **files}.items():
            (place / name / path).parent.mkdir(parents=True, exist_ok=True)
            (place / name / path).write_bytes(content)
        if packed:
            with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
                for path in sorted(place.rglob("*")):
                    archive.write(path, path.relative_to(place))
            place = tmp_path / f"{name}.zip"
        monkeypatch.syspath_prepend(place)
        importlib.invalidate_caches()
        made.append(name)
        return source_digest(name, parts)

    return write


FILES = {"a.py": b"x = 1\ny = 2\n", "sub/__init__.py": b"", "sub/b.py": b"z = 3\n", "other.py": b"w = 4\n"}


def test_equal_sources_have_equal_digests_wherever_they_are(package):
    assert package(FILES) == package(FILES, packed=True)


def test_line_endings_and_other_parts_do_not_count(package):
    windows = {**FILES, "a.py": b"x = 1\r\ny = 2\r\n", "other.py": b"w = 5\n"}
    assert package(FILES) == package({**windows, "sub/__pycache__/b.cpython-310.pyc": b"old", "notes.txt": b"text"})


@pytest.mark.parametrize("changed", [{"a.py": b"x = 2\ny = 2\n"}, {"sub/b.py": b"z = 4\n"}, {"sub/c.py": b""}])
def test_a_change_of_a_part_counts(package, changed):
    assert package(FILES) != package({**FILES, **changed})


@pytest.mark.parametrize("suffix", [".so", ".pyd", ".pyc"])
def test_compiled_modules_count_where_there_is_no_source(package, suffix):
    assert package({f"sub/b{suffix}": b"one"}) != package({f"sub/b{suffix}": b"two"})


def test_versions_are_those_installed():
    import numpy

    assert versions(["numpy", "no-such-package"]) == {"no-such-package": "none", "numpy": numpy.__version__}


def test_requirements_are_names(install):
    install("lidar-yard", [])
    assert requirements("lidar-yard") == set()
    assert requirements("no-such-package") == set()
    assert {"numpy", "pyarrow", "torch"} <= requirements("pointsam")
