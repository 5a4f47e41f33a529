"""Phrases as the tokens of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pointsam.base.errors import BackendError, SchemaError

AROUND = 2
"""Tokens that begin and end a text."""


def require_tokenizer(tokenizer: Any, known: int, source: Path) -> None:
    """Refuse a tokenizer that was opened without its file: transformers then makes one that knows no word.

    Args:
        tokenizer: the network's tokenizer.
        known: number of tokens that the network knows.
        source: the model, for messages.

    Raises:
        BackendError: BCK004.
    """
    if len(tokenizer) < known / 2:  # networks may have room for more tokens than there are
        raise BackendError(
            "BCK004",
            f"the tokenizer of {source} knows {len(tokenizer)} tokens, the network {known}",
            "fetch it again: tokenizer.json, or the files of the vocabulary, are missing or not complete",
        )


def tokens_of(tokenizer: Any, phrase: str, most: int, where: Path) -> list[int]:
    """The tokens of a phrase, without those that begin and end a text.

    Args:
        tokenizer: the network's tokenizer.
        phrase: the phrase.
        most: the most tokens that the network takes.
        where: the prompt file, for messages.

    Raises:
        SchemaError: SCH005 if it has too many tokens, or a word that the network does not know.
    """
    found: list[int] = tokenizer(phrase, add_special_tokens=False)["input_ids"]
    if not found or set(found) & set(tokenizer.all_special_ids):  # one of them stands for what is not known
        raise SchemaError("SCH005", f"{where}: the network does not know a word of {phrase!r}", "say it in other words")
    if len(found) > most:
        raise SchemaError(
            "SCH005", f"{where}: {phrase!r} has {len(found)} tokens, the network takes {most}", "use a shorter phrase"
        )
    return found


def groups(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Indices of consecutive items, as few groups as their order allows, none longer than `most` in all."""
    found, filled = list[list[int]](), most + 1
    for k, length in enumerate(lengths):
        if filled + length > most:
            found.append([])
            filled = 0
        found[-1].append(k)
        filled += length
    return found
