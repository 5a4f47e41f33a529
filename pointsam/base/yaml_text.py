"""YAML that people write, read as plain values and nothing else: no tags, no aliases, no dates, no repeated keys.

Scalars are those of YAML 1.2's core schema, so that `1e-3` is a number, and `yes`, `12:30` and `2026-11-30` are texts.
Infinity and NaN are no numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 4 << 20
_DEEPEST = 64
_SCALARS = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
    ("tag:yaml.org,2002:int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
)


def parse_yaml(content: bytes) -> object:
    """Values of YAML text: mappings with texts as keys, lists, texts, numbers, true, false and null.

    Raises:
        ValueError: if it is no YAML, is too large or nested too deeply, repeats a key, or holds a tag or an alias; the
            message names the line.
    """
    import yaml

    if len(content) > MOST_BYTES:
        raise ValueError(f"{len(content)} bytes are too many; at most {MOST_BYTES} are read")
    try:
        return yaml.load(content.decode("utf-8-sig"), Loader=_loader())
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("nested too deeply") from None


def yaml_text(value: object) -> str:
    """Plain values as YAML that `parse_yaml` reads back equal; lists of scalars stay in one line."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    for kind in (float, int, str):  # those of NumPy too
        Dumper.add_multi_representer(kind, lambda dumper, one, kind=kind: dumper.represent_data(kind(one)))
    return str(
        yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=2**20, default_flow_style=None)
    )


@cache
def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Made here, because yaml is loaded on demand."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012, as the parent declares it
        depth = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read", event.start_mark)
            self.depth += 1
            if self.depth > _DEEPEST:
                raise yaml.composer.ComposerError(None, None, "nested too deeply", event.start_mark)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            found: dict[Hashable, Any] = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key_node.start_mark)
                key = str(key_node.value)
                if key in found:
                    what = f"the key {key!r} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, what, key_node.start_mark)
                found[key] = self.construct_object(value_node, deep=True)
            return found

        def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
            value = float(node.value)
            if not math.isfinite(value):
                what = f"{node.value} is too large for a number"
                raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
            return value

    Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_yaml_float)
    for tag, pattern, first in _SCALARS:
        Loader.add_implicit_resolver(tag, re.compile(f"(?:{pattern})\\Z"), [*first, *([""] if "null" in tag else [])])
    return Loader
