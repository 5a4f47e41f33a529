"""Web pages from the templates in `web`; values are escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _templates() -> Environment:
    loader = PackageLoader("pointsam.report", "web")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )


def page(template: str, **values: object) -> str:
    """Render a page.

    Args:
        template: name of a file in `web`.
        values: values for the template; all but `markupsafe.Markup` are escaped.
    """
    return _templates().get_template(template).render(values)
