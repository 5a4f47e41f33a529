"""Charts of the report's page."""

import math

from pointsam.report.charts import bar_chart, line_chart


def bars(values):
    return bar_chart("by <range>", ["0-10", "10-20"], (("PQ", values), ("IoU", [0.5, 0.25])))


def test_a_chart_stands_in_a_page_alone():
    for chart in (bars([0.1, 0.2]), line_chart("right", (("a", [(0.1, 0.2), (0.3, 0.4)]),), diagonal=True)):
        assert chart.startswith("<svg ")
        assert chart.rstrip().endswith("</svg>")
        assert "http" not in chart


def test_names_are_text_and_escaped():
    chart = bars([0.1, 0.2])
    assert all(f">{name}</text>" in chart for name in ("0-10", "10-20", "PQ", "IoU", "by &lt;range&gt;"))


def test_nan_leaves_a_gap():
    assert bars([0.1, 0.2]) != bars([0.1, math.nan])
    assert "nan" not in bars([0.1, math.nan])
    assert "nan" not in line_chart("right", (("a", [(0.1, 0.2), (math.nan, math.nan)]),))
    assert line_chart("empty", (("a", []),)).startswith("<svg ")


def test_equal_figures_are_equal_bytes():
    assert bars([0.1, 0.2]) == bars([0.1, 0.2])
