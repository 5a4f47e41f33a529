"""Which files of a folder of 2D results belong to an image, and whether two images of a run share one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pointsam.base.errors import DatasetError
from pointsam.base.mask_files import DOCS
from pointsam.base.paths import name_problem, path_under
from pointsam.types import CameraView, Frame

_TIME_STAMP = re.compile(r"[1-9]\d{9}")


@dataclass(frozen=True)
class ImageName:
    """The names of an image of a data set.

    Args:
        frame_id: frame of the image.
        scene: scene of the frame.
        camera: name of the camera.
        full: parts of the full path of the image, or its file name alone.
        inside: number of the parts that lie inside of the data root.
        of_run: whether its frame is one of the run, not only of the data set.
    """

    frame_id: str
    scene: str
    camera: str
    full: tuple[str, ...]
    inside: int
    of_run: bool = True

    @property
    def stem(self) -> str:
        """File name without suffix."""
        return PurePosixPath(self.full[-1]).stem

    @property
    def in_data(self) -> str:
        """Path of the image inside of the data root, with slashes."""
        return "/".join(self.full[-self.inside :])

    @property
    def has_time(self) -> bool:
        """Whether the file name holds a time stamp, and so is unique in the data set."""
        return _TIME_STAMP.search(self.stem) is not None

    @classmethod
    def of(cls, frame: Frame, view: CameraView, root: str = "", of_run: bool = True) -> ImageName:
        """The names of a view of a frame, in a data set at `root`."""
        name, file_name = view.source.name, view.source.file_name
        if not name.endswith(file_name):
            name = file_name
        relative = name.removeprefix(root) if root else file_name
        return cls(frame.frame_id, frame.scene, view.name, parts_of(name), len(parts_of(relative)), of_run)


def parts_of(path: str) -> tuple[str, ...]:
    """Parts of a path of any operating system."""
    return tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))


def stem_path(folder: Path, image: ImageName) -> Path:
    """Path of the files of an image without their suffixes.

    It is `folder/SCENE/CAMERA/STEM` if there is a folder `folder/SCENE/CAMERA`, else `folder/CAMERA/STEM`.

    Raises:
        DatasetError: DAT011 if the names of the image cannot be part of a path.
    """
    flat = path_under(folder, f"{image.camera}/{image.stem}", "correct the names of cameras and images in the data set")
    if _has_folder(folder, image):
        return folder / image.scene / image.camera / image.stem
    return flat


def image_files(folder: Path, image: ImageName, suffixes: Sequence[str]) -> list[Path]:
    """The files of an image, whether they are there or not; arguments and errors as of `stem_path`.

    Suffixes may be in capitals.
    """
    stem = stem_path(folder, image)
    found = []
    for suffix in suffixes:
        path, capital = (stem.with_name(stem.name + one) for one in (suffix, suffix.upper()))
        found.append(capital if not path.is_file() and capital.is_file() else path)
    return found


def require_unshared(folder: Path, images: Iterable[ImageName], suffixes: Sequence[str]) -> None:
    """Refuse files that belong to images of several scenes, one of them in the run.

    SemanticKITTI's sequences, KITTI's training and testing folders, and others number their images alike.

    Args:
        folder: the folder of the results.
        images: the images of the run and of the data set, those of one frame of every scene before all others. If there
            is one scene, or every scene has a folder, or the names of these images hold time stamps, no others are
            taken.
        suffixes: suffixes of the files of an image.

    Raises:
        DatasetError: DAT002 naming two of the images.
    """
    owner: dict[Path, ImageName] = {}
    heads: dict[str, ImageName] = {}
    for image in images:
        head = heads.setdefault(image.scene, image)
        if image.frame_id != head.frame_id and (
            len(heads) == 1 or all(one.has_time or _has_folder(folder, one) for one in heads.values())
        ):
            return
        if name_problem(f"{image.camera}/{image.stem}"):
            continue  # its frame is quarantined
        path = image_files(folder, image, suffixes[:1])[0]
        first = owner.setdefault(path, image)
        shared = first.scene != image.scene and (first.of_run or image.of_run)
        if shared and path.is_file():
            own = [folder / one.scene / one.camera / (one.stem + suffixes[0]) for one in (first, image)]
            raise DatasetError(
                "DAT002",
                f"{path} would be used for two images: frame {first.frame_id} of scene {first.scene} and "
                f"frame {image.frame_id} of scene {image.scene}",
                f"put the files of each scene into a folder of its own: {own[0]} and {own[1]} ({DOCS})",
            )


def _has_folder(folder: Path, image: ImageName) -> bool:
    """Whether the scene of an image has a folder of its own for the camera."""
    return not name_problem(image.scene) and (folder / image.scene / image.camera).is_dir()
