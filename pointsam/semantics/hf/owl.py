"""OWL-ViT and OWLv2: every box gets a score for every phrase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pointsam.semantics.base import Look
from pointsam.semantics.hf.answers import Runner, corners
from pointsam.semantics.hf.phrases import AROUND, tokens_of

if TYPE_CHECKING:
    from PIL import Image

_PADS = "owlv2"
"""The type of model that pads an image to a square, at the right or at the bottom."""


class OwlDetector:
    """OWL-ViT or OWLv2.

    Args:
        runner: the model.
        phrases: what it is asked for; these are its labels.
        where: the prompt file, for messages.

    Raises:
        SchemaError: SCH005 on a phrase that it cannot be asked for.
    """

    def __init__(self, runner: Runner, phrases: Sequence[str], where: Path) -> None:
        self.names = tuple(phrases)
        self._run = runner
        tokenizer, most = runner.processor.tokenizer, runner.model.config.text_config.max_position_embeddings
        for phrase in self.names:
            tokens_of(tokenizer, phrase, most - AROUND, where)
        tokens = tokenizer(list(self.names), padding="max_length", max_length=most, return_tensors="pt")
        self._tokens = {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def look(self, image: Image.Image) -> Look:
        """The boxes in an RGB image."""
        found = self._run({**self._run.pixels(image), **self._tokens})
        longer = max(image.size)
        area = (longer, longer) if self._run.model.config.model_type == _PADS else image.size
        return Look(corners(found.pred_boxes[0], *area), found.logits[0].float().sigmoid().cpu().numpy())
