"""The documentation's site: built without a warning, with all pages, and sufficient unto itself."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """What a page loads, where it leads to, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loads.append(found["href"])
        elif tag in {"script", "img", "iframe", "source"} and "src" in found:
            self.loads.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it."""
    recipe = re.search(r"^\t\$\(BIN\)/python (-m sphinx .+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert recipe is not None
    out = tmp_path_factory.mktemp("site")
    words = recipe[1].replace("build/site.cache", str(out / "cache")).replace("build/site", str(out / "site")).split()
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    return out / "site"


def configuration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_conf", ROOT / "docs" / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_that_the_navigation_names_is_there() -> None:
    named = [name for names in configuration().NAVIGATION.values() for name in names]

    assert [name for name in named if not (ROOT / f"{name}.md").is_file()] == []


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {page.relative_to(ROOT).with_suffix("").as_posix() for page in pages} <= built


def test_a_page_of_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        for load in Page(path.read_text(encoding="utf-8")).loads:
            assert not re.match(r"(?:[a-z]+:)?//", load), f"{path.name} loads {load}"
            assert (path.parent / unquote(urlsplit(load).path)).exists(), f"{path.name} loads {load}"


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not there.exists() or (parts.fragment and unquote(parts.fragment) not in pages[there].ids):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_commands_can_be_copied_without_their_prompt(site: Path) -> None:
    assert "COPYBUTTON" not in (site / "docs" / "index.html").read_text(encoding="utf-8")
    page = (site / "README.html").read_text(encoding="utf-8")
    assert "copybutton.js" in page
    assert r"$\ " in (site / "_static" / "copybutton.js").read_text(encoding="utf-8") or "'$ '" in (
        site / "_static" / "copybutton.js"
    ).read_text(encoding="utf-8")


def test_a_server_that_shows_the_root_leads_to_the_front_page(site: Path) -> None:
    assert "url=docs/index.html" in (site / "index.html").read_text(encoding="utf-8")
