"""Grounding DINO: every token of a text gets a score for every box."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pointsam.base.errors import SchemaError
from pointsam.semantics.base import Look
from pointsam.semantics.hf.answers import Runner, corners
from pointsam.semantics.hf.phrases import AROUND, groups, tokens_of

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

_ENDS = ".?"
"""Characters that end a phrase for the network."""


class GroundedDetector:
    """Grounding DINO, or MM Grounding DINO. The score of a phrase is the highest of its tokens.

    Phrases that are too many for one text are asked for in several passes.

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
        config, tokenizer = runner.model.config, runner.processor.tokenizer
        most = min(config.max_text_len, config.text_config.max_position_embeddings) - AROUND
        lengths = []
        for phrase in self.names:
            if any(end in phrase for end in _ENDS):
                raise SchemaError(
                    "SCH005", f"{where}: {phrase!r} holds {' or '.join(_ENDS)}, which ends a phrase", "leave it out"
                )
            lengths.append(1 + len(tokens_of(tokenizer, phrase.lower(), most - 1, where)))
        self._passes = []
        for group in groups(lengths, most):
            text = ". ".join(self.names[k].lower() for k in group) + "."
            tokens = dict(tokenizer(text, return_token_type_ids=True, return_tensors="pt"))
            self._passes.append((group, tokens, _spans(tokens, tokenizer.convert_tokens_to_ids("."), len(group))))

    def look(self, image: Image.Image) -> Look:
        """The boxes of all passes in an RGB image."""
        pixels, boxes, scores = self._run.pixels(image), [], []
        for group, tokens, spans in self._passes:
            found = self._run({**pixels, **tokens})
            of_tokens = found.logits[0].float().sigmoid().cpu().numpy()
            score = np.zeros((len(of_tokens), len(self.names)), dtype=np.float32)
            for k, (first, end) in zip(group, spans, strict=True):
                score[:, k] = of_tokens[:, first:end].max(axis=1)
            boxes.append(corners(found.pred_boxes[0], *image.size))
            scores.append(score)
        return Look(np.concatenate(boxes), np.concatenate(scores))


def _spans(tokens: dict[str, Tensor], dot: int, count: int) -> list[tuple[int, int]]:
    """First token of each phrase, and one past its last."""
    ends = [k for k, token in enumerate(tokens["input_ids"][0].tolist()) if token == dot]
    assert len(ends) == count  # no phrase holds a dot
    return list(zip([1, *(end + 1 for end in ends[:-1])], ends, strict=True))
