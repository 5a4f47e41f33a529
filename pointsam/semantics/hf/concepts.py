"""SAM 3: every box of a phrase comes with its mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.semantics.base import Look
from pointsam.semantics.hf.answers import Runner
from pointsam.semantics.hf.phrases import AROUND, tokens_of

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

_LEAST_MASK = 0.5
"""Probability from which a pixel belongs to a mask, as in transformers."""


class ConceptDetector:
    """SAM 3, which is asked for one phrase at a time; the image is encoded once.

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
        self._texts = []
        for phrase in self.names:
            tokens_of(tokenizer, phrase, most - AROUND, where)
            tokens = tokenizer(phrase, padding="max_length", max_length=most, return_tensors="pt")
            given = {name: tokens[name].to(runner.device) for name in ("input_ids", "attention_mask")}
            with runner.inference():
                known = runner.model.get_text_features(**given, return_dict=True)
            self._texts.append({"text_embeds": known, "attention_mask": given["attention_mask"]})

    def look(self, image: Image.Image) -> Look:
        """The boxes of all phrases in an RGB image, with their masks.

        Rows whose score is too low to count are left out, because all masks of an image fill a gigabyte.
        """
        sides = np.array([*image.size, *image.size], dtype=np.float32)
        pixels = self._run.pixels(image)["pixel_values"]
        boxes, scores, masks = [], [], []
        with self._run.inference():
            pixels = pixels.to(self._run.device)
            seen = self._run.model.get_vision_features(pixel_values=pixels)
            for k, text in enumerate(self._texts):
                found = self._run.model(vision_embeds=seen, **text)
                score = _scores(found)
                counts = ~(score <= self._run.least_score)  # NaN counts, and is refused by its number
                row = np.zeros((int(counts.sum()), len(self.names)), dtype=np.float32)
                row[:, k] = score[counts].cpu().numpy()
                boxes.append(found.pred_boxes[0][counts].float().cpu().numpy() * sides)
                scores.append(row)
                masks.append(found.pred_masks[0][counts].float().cpu())
        return Look(np.concatenate(boxes), np.concatenate(scores), _enlarged(masks, image.height, image.width))


def _scores(found: Any) -> Tensor:
    """(N,) probability that a phrase is there at all, times that a box is one of its objects."""
    score: Tensor = found.pred_logits[0].float().sigmoid()
    return score if found.presence_logits is None else score * found.presence_logits[0].float().sigmoid()


def _enlarged(masks: Sequence[Tensor], height_px: int, width_px: int) -> Callable[[int], NDArray[np.bool_]]:
    import torch

    every = torch.cat(list(masks))

    def mask(row: int) -> NDArray[np.bool_]:
        if not torch.isfinite(every[row]).all():  # its object would be lost in silence
            raise SchemaError(
                "SCH003", "the network gave a mask that is no number", "correct the network or its weights"
            )
        one = torch.nn.functional.interpolate(
            every[None, row : row + 1].sigmoid(), size=(height_px, width_px), mode="bilinear", align_corners=False
        )
        inside: NDArray[np.bool_] = (one[0, 0] > _LEAST_MASK).cpu().numpy()
        return inside

    return mask
