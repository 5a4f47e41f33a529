"""Models of a hub, as a folder: given as a folder, or fetched by id. Weights are safetensors only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pointsam.base.digests import sha256_of
from pointsam.base.errors import BackendError

_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "README.md")
"""What is fetched: neither code nor pickled weights."""
_DECIDES = (".json", ".safetensors", ".txt", ".model")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelOrigin:
    """Where a model is from. A run records it; it does not say what the model computes.

    Args:
        source: what the user named: a folder, or an id of the hub.
        commit: as of `HubModel`.
        licence: as of `HubModel`.
        sha256: hex sha256 of each file that determines what it computes, by name.
    """

    source: str
    commit: str
    licence: str
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class HubModel:
    """A model in a folder.

    Args:
        folder: the folder.
        commit: the commit of the hub that it is of; "" if that is not known.
        licence: the licence that its README states; "" if it states none.
    """

    folder: Path
    commit: str
    licence: str

    @property
    def sha256(self) -> dict[str, str]:
        """Hex sha256 of each file that determines what it computes, by name; all of them are read."""
        files = sorted(path for path in self.folder.iterdir() if path.suffix in _DECIDES and path.is_file())
        return {path.name: _sha256_once(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    @property
    def digest(self) -> str:
        """Hex sha256 of all of them."""
        lines = "".join(f"{name} {sha256}\n" for name, sha256 in self.sha256.items())
        return hashlib.sha256(lines.encode()).hexdigest()

    def origin(self, source: Path) -> ModelOrigin:
        """Where it is from, by the name that the user gave it."""
        return ModelOrigin(source.as_posix(), self.commit, self.licence, self.sha256)


@cache
def _sha256_once(path: Path, _num_bytes: int, _changed_ns: int) -> str:
    """Digest of a file, which is read once as long as it does not change: weights may have gigabytes."""
    return sha256_of(path)


def hub_model(source: Path) -> HubModel:
    """A model by its folder, or by an id of the hub such as `facebook/sam2.1-hiera-tiny` or `ID@REVISION`.

    An id is fetched once; with HF_HUB_OFFLINE=1, only what was fetched before is used.

    Raises:
        BackendError: BCK001 if there is no such folder or id, or no network; BCK004 if its weights are not safetensors;
            BCK005 if huggingface_hub is not installed.
    """
    folder = source if _is_folder(source) else _fetched(source)
    if not (folder / "config.json").is_file():
        raise BackendError("BCK001", f"{source} holds no config.json", "give the folder of a model of transformers")
    if not list(folder.glob("*.safetensors")):
        others = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.h5") for path in folder.glob(pattern))
        found = f", only {', '.join(others)}" if others else ""
        raise BackendError(
            "BCK004",
            f"{source} holds no .safetensors{found}; nothing in it was executed",
            "where you trust it, load it with transformers and save it again: save_pretrained writes safetensors",
        )
    commit = folder.name if _COMMIT.fullmatch(folder.name) else ""
    return HubModel(folder, commit, _licence(folder))


def near_or_hub(folder: Path, source: str) -> Path:
    """The source that a file names: a folder, relative to the file's, or an id of the hub."""
    near = folder / source
    return near if _is_folder(near) else Path(source)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the name is too long
        return False


@cache
def _fetched(source: Path) -> Path:
    """The folder of an id. A process asks the hub once, so that the model of a run is that of its digest."""
    text = source.as_posix()
    if not _ID.fullmatch(text):
        raise BackendError("BCK001", f"no folder {source}", "give a folder, or an id of the hub such as NAME/MODEL")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise BackendError("BCK005", f"{text} needs huggingface_hub ({error})", "pip install 'pointsam[hf]'") from error
    name, _, revision = text.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(_FILES)))
    except Exception as error:  # the hub raises errors of many kinds: no network, no such id, no permission
        raise BackendError(
            "BCK001",
            f"{text} is no folder, and could not be fetched: {(str(error).splitlines() or [type(error).__name__])[0]}",
            "check the id; if this machine is offline, fetch it on another one and give the folder",
        ) from error


def _licence(folder: Path) -> str:
    """The licence in the first lines of README.md, between two lines of dashes."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = re.search(r"^license:\s*([\w.-]+)\s*$", head, re.MULTILINE)
    return found[1] if found else ""
