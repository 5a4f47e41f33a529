"""Pages that are generated while mkdocs builds: the rules of `check`, and the API reference from docstrings.

mkdocs.yml names this file as a hook. Sources of the reference are listed by their paths and not imported, so that a
new module needs no line here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from pointsam.checks.rules import RULES

PACKAGE = Path(__file__).resolve().parents[1] / "pointsam"
LEFT_OUT = ("synth/assets",)
"""Folders of `pointsam` that are not part of the reference."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the pages to the navigation."""
    pages = [{f"pointsam.{part}": f"reference/{part}.md"} for part in _parts()]
    config.nav = [*(config.nav or []), {"API reference": [{"Overview": "reference/index.md"}, *pages]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, which exist in memory only."""
    files.append(File.generated(config, "rules.md", content=_rules()))
    for part, modules in _parts().items():
        text = f"# pointsam.{part}\n\n" + "".join(f"::: {module}\n\n" for module in modules)
        files.append(File.generated(config, f"reference/{part}.md", content=text))
    rows = "".join(f"| [pointsam.{part}]({part}.md) | {_summary(part)} |\n" for part in _parts())
    about = (
        "Names, shapes, units, frames and errors of the library, from its docstrings.\n\n| part | holds |\n|---|---|\n"
    )
    files.append(File.generated(config, "reference/index.md", content=f"# API reference\n\n{about}{rows}"))
    return files


def _rules() -> str:
    text = (
        "# Rules of check\n\n"
        "`pointsam-label check DATA`, and `run` and `masks` before they load a model, look for these mistakes in "
        "[your own data](own_data.md). A violated rule of severity *error* ends with exit status 4; `--accept RULE` "
        "continues. `pointsam-label explain RULE` prints the same text.\n"
    )
    return text + "".join(f"\n## {rule.id}\n\n*{rule.severity}*: {rule.title}\n\n{rule.remedy}\n" for rule in RULES)


def _parts() -> dict[str, list[str]]:
    """Dotted names of the public modules of every part, the part itself first."""
    parts: dict[str, list[str]] = {}
    for path in _sources():
        names = path.relative_to(PACKAGE).with_suffix("").parts
        module = ".".join(("pointsam", *(name for name in names if name != "__init__")))
        parts.setdefault(names[0], []).append(module)
    parts.pop("__init__", None)
    return {part: sorted(modules) for part, modules in sorted(parts.items())}


def _sources() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(LEFT_OUT) and (not path.stem.startswith("_") or path.stem == "__init__"):
            yield path


def _summary(part: str) -> str:
    """The first line of a part's docstring."""
    path = PACKAGE / f"{part}.py" if (PACKAGE / f"{part}.py").exists() else PACKAGE / part / "__init__.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0].replace("|", "\\|")
