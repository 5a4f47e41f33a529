"""Pages from templates."""

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from pointsam.base.tables import Table
from pointsam.report.pages import page

HOSTILE = "</script><script>alert(1)</script>"
FIGURE = {"name": "000", "why": HOSTILE, "caption": HOSTILE, "cameras": [HOSTILE], "num_grown": 3}


@pytest.fixture
def values():
    table = Table(HOSTILE, ("class", HOSTILE), [(HOSTILE, 0.5)], HOSTILE)
    names = ("title", "root", "recipe", "version", "notes")
    return {
        **dict.fromkeys(names, HOSTILE),
        **{key: [HOSTILE] for key in ("classes", "outcomes", "colours")},
        "good": 1,
        "queue": False,
        "figures": [FIGURE],
        "tracks": [{"name": "00", "caption": HOSTILE}],
        "tables": [table],
        "charts": Markup("<svg></svg>"),
    }


def test_what_stands_in_a_page_is_escaped(values):
    text = page("report.html", **values)
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<svg></svg>" in text


def test_a_value_that_is_missing_is_an_error(values):
    del values["recipe"]
    with pytest.raises(UndefinedError, match="recipe"):
        page("report.html", **values)
