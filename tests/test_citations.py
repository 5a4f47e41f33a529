"""Pages and sections of the documentation that the code cites."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("pointsam", "pipelines", "scripts", "tests")
CODE = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]

LABEL = r"[AB](?:\.\d+)?(?!\.?\w)"
CITATION = re.compile(rf"(?<![\w/])(?:docs/)?method\.md(?:\s+({LABEL}(?:(?:,|,?\s+and|\s+to)\s+{LABEL})*))?")
HEADING = re.compile(rf"^#+ ({LABEL})", re.MULTILINE)


def cited(text):
    """(citation, labels) of each mention of the method's page."""
    return [(match[0], re.findall(LABEL, match[1] or "")) for match in CITATION.finditer(text)]


def test_labels_of_a_citation():
    page = "docs/method" + ".md"
    assert cited(f"see {page} B.10, B.2\nand B.1; A.3") == [(f"{page} B.10, B.2\nand B.1", ["B.10", "B.2", "B.1"])]
    assert cited(f"{page} A.2, step 3") == [(f"{page} A.2", ["A.2"])]
    assert cited(f"{page}, table 14") == [(page, [])]
    assert HEADING.findall("## A. Labels\n\n### A.1 Map\n### A.12x\nA.3") == ["A", "A.1"]


def test_the_page_of_the_method_has_every_cited_section():
    headings = HEADING.findall((ROOT / "docs" / "method.md").read_text())
    assert len(headings) == len(set(headings))
    mentions = [(path.name, *mention) for path in CODE if path != Path(__file__) for mention in cited(path.read_text())]
    assert len(mentions) > 50
    for name, citation, labels in mentions:
        assert citation.startswith("docs/"), f"{name}: {citation!r} is no path from the root"
        assert labels, f"{name}: {citation!r} names no section"
        assert set(labels) <= set(headings), f"{name}: {citation!r}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_cited_page_exists(folder):
    pages = {
        (path.name, page)
        for path in CODE
        if path.is_relative_to(ROOT / folder)
        for page in re.findall(r"\bdocs/(?:results/)?[a-z0-9_]+\.md", path.read_text())
    }
    assert pages
    assert {(name, page) for name, page in pages if not (ROOT / page).exists()} == set()
