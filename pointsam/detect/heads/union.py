"""The heads that a recipe may have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pointsam.detect.heads.anchor import AnchorHeadConfig
from pointsam.detect.heads.center import CenterHeadConfig

HeadUnion = Annotated[
    CenterHeadConfig | AnchorHeadConfig,
    Field(discriminator="kind"),
]
"""Their configurations, distinguished by `kind`; each implements `heads.protocol.HeadConfig`."""
