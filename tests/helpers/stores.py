"""Roots in fsspec's file system in memory; the fixture `store` empties it."""

import pytest


def upload(folder, name):
    """Copies a folder into memory and gives its URL."""
    fsspec = pytest.importorskip("fsspec", reason="opens object stores")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    fsspec.filesystem("memory").pipe({f"/{name}/{path.relative_to(folder)}": data for path, data in files.items()})
    return f"memory://{name}"
