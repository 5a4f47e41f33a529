"""The detectors that the package carries, described like those of users."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TypeVar

from pointsam.base.errors import BackendError
from pointsam.semantics.base import SemanticModel, SemanticsContext, SemanticsPlugin
from pointsam.semantics.mapping import require_labels
from pointsam.semantics.onnx.description import Description, parse_description
from pointsam.semantics.onnx.network import OnnxDetector
from pointsam.semantics.tiled import TiledConfig, tiled_plugin
from pointsam.taxonomy import LabelMapping

C = TypeVar("C", bound=TiledConfig)
_NETWORK = "the bundled network"


@dataclass(frozen=True)
class CarriedNetwork:
    """A detector in `pointsam/semantics/data`.

    Args:
        name: name of its plug-in, and of its description NAME.json.
        sha256: digest of the model.
    """

    name: str
    sha256: str

    def describe(self) -> Description:
        """Its description.

        Raises:
            BackendError: BCK001 if it is missing.
        """
        return parse_description(_content(f"{self.name}.json"), f"{self.name}.json")

    def load(self, mapping: LabelMapping, config: TiledConfig, threads: int = 1) -> SemanticModel:
        """The network with its tiles; errors as of `open`, and SCH001 if the mapping has no COCO label."""
        return self.plugin(type(config)).load(config, SemanticsContext(mapping, threads=threads))

    def open(self, threads: int = 1) -> OnnxDetector:
        """The network, on the CPU.

        Args:
            threads: CPU threads of one inference; the result does not depend on it.

        Raises:
            BackendError: BCK005 if onnxruntime is not installed, BCK001 if the model is missing, BCK002 if it is
                damaged.
        """
        description = self.describe()
        model = _content(description.model)
        if hashlib.sha256(model).hexdigest() != self.sha256:
            where = resources.files("pointsam.semantics") / "data" / description.model
            raise BackendError(
                "BCK002", f"{where}: sha256 is not {self.sha256}", "the file is damaged: install pointsam again"
            )
        return OnnxDetector(description, model, self.name, threads)

    def survey(self, mapping: LabelMapping) -> tuple[str, ...]:
        """As `require_labels`."""
        return require_labels(mapping, self.describe().names, _NETWORK)

    def plugin(self, config: type[C]) -> SemanticsPlugin[C]:
        """Its plug-in, with options of a class."""
        return tiled_plugin(
            self.name,
            config,
            lambda _config, context: self.open(context.threads),
            lambda _config, _source: self.sha256,
            lambda _config, _source: self.describe().names,
            network=_NETWORK,
            takes_folder=False,
        )


def _content(name: str) -> bytes:
    path = resources.files("pointsam.semantics") / "data" / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise BackendError(
            "BCK001", f"{path}: a bundled network is missing ({error.strerror})", "install pointsam again"
        ) from error
