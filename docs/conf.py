"""
The site: `make site` builds it into `build/site`, by Sphinx, from the same Markdown that a forge shows.

Its source folder is the repository's root, so a link leads to the same page here and there. What stands in the
navigation, and in which order, is `NAVIGATION`; a page that is not named there fails the build.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pygments.lexer import RegexLexer
from pygments.lexers.special import TextLexer
from pygments.token import Comment, Generic, Text

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).resolve().parents[1]

NAVIGATION: Final[dict[str, tuple[str, ...]]] = {
    "Begin": ("README", "docs/tutorial", "docs/compare-files", "docs/concepts"),
    "Guides": (
        "docs/guides/adopted-v1",
        "docs/guides/append",
        "docs/guides/databases",
        "docs/guides/object-stores",
        "docs/guides/tail",
        "docs/guides/remodelling",
        "docs/checks",
        "docs/gates",
        "docs/guides/application",
        "docs/guides/ramp-and-rollback",
        "docs/guides/canary",
        "docs/reports",
        "docs/guides/scheduling",
        "docs/guides/notifications",
        "docs/guides/bad-rows",
        "docs/guides/log",
        "docs/guides/recovery",
        "docs/coming-from",
    ),
    "Reference": (
        "docs/cli",
        "docs/settings",
        "docs/sources",
        "docs/views",
        "docs/comparators",
        "docs/rules",
        "docs/api",
        "docs/json",
        "docs/errors",
        "docs/stages",
        "reports/README",
        "reports/sample/report",
    ),
    "The project": ("docs/benchmarks", "CHANGELOG", "CONTRIBUTING"),
}

# Where a page's own title says too little beside the others.
TITLES: Final[dict[str, str]] = {
    "README": "Overview </{0}>",
    "docs/coming-from": "Coming from other tools </{0}>",
    "docs/tutorial": "Tutorial </{0}>",
    "reports/README": "Run folders </{0}>",
    "reports/sample/report": "A sample report </{0}>",
}

MERMAID: Final = re.compile(r"^```mermaid\n.*?^```$\n?", re.MULTILINE | re.DOTALL)

VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "src/dualgauge/__init__.py").read_text("utf-8"), re.MULTILINE)

project = "dualgauge"
version = release = VERSION[1] if VERSION else sys.exit("src/dualgauge/__init__.py has no __version__")
html_title = f"dualgauge {release}"
author = "The dualgauge maintainers"
language = "en"

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "reports/README.md",
    "reports/sample/report.md",
]
# Named, so that nobody walks through them.
exclude_patterns = ["**/.*", "benchmarks", "build", "dist", "migrations", "reports/2*", "src", "tests", "views_*"]

# `--option` keeps its two hyphens, and "quotes" stay as they are typed.
smartquotes = False
myst_heading_anchors = 4
highlight_language = "text"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#b3470f", "color-brand-content": "#b3470f"},
    "dark_css_variables": {"color-brand-primary": "#ff9a62", "color-brand-content": "#ff9a62"},
}


class ConsoleLexer(RegexLexer):
    """What a page's `console` blocks hold: commands after `$ `, and answers. Pygments' own takes a # for a prompt."""

    name = "console"
    tokens: ClassVar = {
        "root": [
            (r"^\$ ", Generic.Prompt, "command"),
            (r"^next: .*\n", Comment),
            (r".*\n", Generic.Output),
        ],
        "command": [(r"(\\\n|[^\n])+", Text), (r"\n", Text, "#pop")],
    }


DOOR: Final = """\
<!doctype html>
<meta charset="utf-8">
<title>dualgauge</title>
<meta http-equiv="refresh" content="0; url=docs/index.html">
<link rel="canonical" href="docs/index.html">
<a href="docs/index.html">The documentation of dualgauge</a>
"""


def fit(_app: Sphinx, docname: str, content: list[str]) -> None:
    """
    Fit a page to the site.

    The front page gets its toctrees, which a forge would show as code. A diagram that only a forge can draw is left
    out: the tables beside it say the same.
    """
    content[0] = MERMAID.sub("", content[0])
    if docname != root_doc:
        return
    for caption, names in NAVIGATION.items():
        there = [TITLES.get(name, "/{0}").format(name) for name in names if (ROOT / f"{name}.md").exists()]
        listing = "\n".join(there)
        content[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listing}\n```\n"


def open_the_door(app: Sphinx, fault: Exception | None) -> None:
    """Lead from the site's root, where a server looks first, to the front page."""
    if fault is None and app.builder.name == "html":
        (Path(app.outdir) / "index.html").write_text(DOOR, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of all this."""
    app.add_lexer("console", ConsoleLexer)
    for name in ("crontab", "csv"):
        app.add_lexer(name, TextLexer)
    app.connect("source-read", fit)
    app.connect("build-finished", open_the_door)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
