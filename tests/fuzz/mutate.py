"""Damage to files: the same seed gives the same damage."""

import json
import random
import re

ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e-300, 1e300, 3.5),
    *("", " ", "0", "-1", "nan", "\x00", "\x1b[31m", "\ud800", "..", "../../etc/passwd", "/etc/passwd", "a" * 300),
    *("²", "١", "é", "v1.0-mini", [], {}, [[]], {"a": 1}, [None], [1e300] * 9, list(range(40))),
)
ODD_WORDS = (
    *("nan", "inf", "-inf", "1e400", "-1e300", "1e-320", "0", "-0", "", "²", "١", "9" * 5000, "0x10", "1_0", "1,5"),
    *("\x00", "\x1b[31m", "NaN", "Infinity", "null", "..", "\u202e", "\ufeff", "'", '"', "[" * 3000, "{", "[", "]"),
)
ODD_BYTES = (0, 1, 9, 10, 13, 32, 34, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)


def mutated(content, seed, other=b""):
    """A damaged copy of a file's content; `other` is a file of the same kind, to splice in."""
    rng = random.Random(seed)
    for _ in range(1 + (rng.random() < 0.3)):
        content = rng.choice(_JSON if content[:1] in (b"{", b"[") else _TEXT if _is_text(content) else _BINARY)(
            content, rng, other
        )
    return content


def _is_text(content):
    return b"\x00" not in content[:512] and all(byte < 0x80 for byte in content[:512])


def _flip(content, rng, _):
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8, 40))):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _set(content, rng, _):
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 4))):
        if out:
            out[rng.randrange(len(out))] = rng.choice(ODD_BYTES)
    return bytes(out)


def _number(content, rng, _):
    """An integer or float somewhere, as lengths, offsets and coordinates are."""
    values = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000, 0x7F800000, 0x7F7FFFFF)
    number = rng.choice(values).to_bytes(4, rng.choice(("little", "big")))
    place = rng.randrange(len(content) + 1)
    return content[:place] + number + content[place + 4 :]


def _truncate(content, rng, _):
    return content[: rng.choice((0, rng.randrange(len(content) + 1), len(content) - 1, len(content) // 2))]


def _insert(content, rng, _):
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.randbytes(rng.choice((1, 3, 4, 20, 1000))) + content[place:]


def _remove(content, rng, _):
    place = rng.randrange(len(content) + 1)
    return content[:place] + content[place + rng.choice((1, 2, 4, 16, 500)) :]


def _repeat(content, rng, _):
    first, last = sorted(rng.randrange(len(content) + 1) for _ in "ab")
    return content[:last] + content[first:last][:5000] + content[last:]


def _splice(content, rng, other):
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def _word(content, rng, _):
    found = list(re.finditer(rb"[^\s,:\"{}\[\]]+", content))
    if not found:
        return content
    word = rng.choice(found)
    return content[: word.start()] + rng.choice(ODD_WORDS).encode() + content[word.end() :]


def _line(content, rng, _):
    lines = content.splitlines(keepends=True) or [b""]
    k = rng.randrange(len(lines))
    change = rng.choice(("drop", "double", "swap", "crlf"))
    if change == "drop":
        del lines[k]
    elif change == "double":
        lines.insert(k, lines[k])
    elif change == "swap":
        lines[k], lines[-1] = lines[-1], lines[k]
    else:
        lines = [line.rstrip(b"\n") + b"\r\n" for line in lines]
    return b"".join(lines)


def _value(content, rng, _):
    """Another value somewhere in a JSON document."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list) and node[key]:
                walk(node[key])

    if not isinstance(document, dict | list) or not document:
        return content
    walk(document)
    node, key = rng.choice(places)
    change = rng.random()
    if change < 0.15:
        del node[key]
    elif change < 0.25 and isinstance(node, dict):
        node[rng.choice(("", "extra", "../x", "1", "01"))] = node.pop(key)
    elif change < 0.35:
        node[key] = [node[key]] if rng.random() < 0.5 else {"a": node[key]}
    elif change < 0.45:
        a, b = rng.choice(places)
        node[key] = a[b] if b in a or isinstance(a, list) else None
    else:
        node[key] = rng.choice(ODD_VALUES)
    try:
        return json.dumps(document).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # a value that holds itself
        return content


_BINARY = (_flip, _flip, _set, _number, _number, _truncate, _insert, _remove, _repeat, _splice)
_TEXT = (*_BINARY, _word, _word, _word, _word, _line, _line)
_JSON = (*_TEXT, *[_value] * 24)
