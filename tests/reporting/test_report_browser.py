"""The report page in a real browser: hostile data is text, nothing is fetched, and it can be read anywhere."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.reporting.report import write
from dualgauge.reporting.visible_text import MOST, MOST_OF_A_SENTENCE, pieces
from support.report_values import HOSTILE, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

Look = Callable[..., Any]

# What the page is made of, without the boxes that name unseen characters or tell of a cut.
STRUCTURE = """() => {
  return [...document.querySelectorAll('*')].filter(one => !one.matches('.unseen, .cut'))
    .map(one => one.tagName + '/' + [...one.attributes].map(a => a.name).sort());
}"""

TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(one => !one.closest('.scroll') || one.matches('.scroll'))
  .filter(one => !one.closest('.vh') && one.getClientRects().length)
  .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(one => one.tagName + '.' + one.className)"""

# WCAG's contrast of every text with what is behind it.
LOW_CONTRAST = """() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(linear); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = one => {
    for (; one; one = one.parentElement) {
      const ground = parse(getComputedStyle(one).backgroundColor);
      if (ground[3] > 0) return ground;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !one.getClientRects().length || one.closest('title, desc, .vh')) continue;
    const style = getComputedStyle(one);
    const drawn = one.closest('svg');
    const a = light(parse(drawn ? style.fill : style.color)), b = light(behind(drawn ? drawn.parentElement : one));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${one.tagName} ${one.getAttribute('class')} ${one.textContent}`);
  }
  return [...new Set(found)];
}"""


@dataclass
class Opened:
    """An open page, and what it did besides showing itself."""

    page: Page
    requests: list[str]
    dialogs: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = itertools.cycle(HOSTILE)
    return write(report(lambda: next(texts)), tmp_path_factory.mktemp("hostile")).html


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    numbers = itertools.count()
    return write(report(lambda: f"word {next(numbers)}"), tmp_path_factory.mktemp("harmless")).html


@pytest.fixture(scope="module")
def opened(browser: Browser, hostile: Path) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    seen = Opened(page, [], [], [])
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.goto(hostile.as_uri())
    yield seen
    context.close()


@pytest.fixture(scope="module")
def look(browser: Browser) -> Iterator[Look]:
    """What a script finds on a page at a width and in a scheme; each such page is opened once."""
    pages: dict[tuple[Path, int, str], Page] = {}

    def found(file: Path, script: str, *, width: int = 1280, scheme: str = "light") -> Any:
        at = (file, width, scheme)
        if at not in pages:
            pages[at] = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            pages[at].goto(file.as_uri())
        return pages[at].evaluate(script)

    yield found
    for page in pages.values():
        page.close()


def test_the_page_fetches_nothing_asks_nothing_and_holds_no_script(opened: Opened, hostile: Path) -> None:
    page = opened.page
    page.mouse.move(300, 300)
    page.wait_for_timeout(100)

    assert opened.requests == [hostile.as_uri()]
    assert (opened.dialogs, opened.complaints) == ([], [])
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.querySelectorAll('img, iframe, object, embed, link, form, input, base').length") == 0
    assert page.evaluate("[...document.querySelectorAll('[href], [src]')].map(one => one.getAttribute('href'))") == [
        "#c1",
        "#c2",
        "#c3",
    ]
    policy = page.evaluate("document.querySelector('meta[http-equiv]').content")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_no_text_from_data_becomes_an_element_or_an_attribute(look: Look, hostile: Path, harmless: Path) -> None:
    assert look(hostile, STRUCTURE) == look(harmless, STRUCTURE)


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) <= MOST], ids=lambda text: ascii(text)[:24])
def test_every_hostile_text_is_read_back_as_text(text: str, opened: Opened) -> None:
    expected = "".join(one.text for one in pieces(text))
    shown = opened.page.evaluate("[...document.querySelectorAll('bdi')].map(one => one.textContent)")

    # A blank at an end is marked where the text stands alone, and here some texts have a number after them.
    assert expected in shown or any(one.startswith(expected.rstrip("·")) for one in shown)


def test_nothing_unseen_is_left_in_the_page_but_what_joins_emoji(opened: Opened) -> None:
    text = opened.page.evaluate("document.body.textContent")

    left = {f"U+{ord(one):04X}" for one in text if unicodedata.category(one) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}}
    assert left <= {"U+000A", "U+200D"}
    directions = opened.page.evaluate(
        "[...new Set([...document.querySelectorAll('bdi')].map(one => getComputedStyle(one).unicodeBidi))]"
    )
    assert directions == ["isolate"]


def test_a_value_of_ten_thousand_characters_is_cut_with_a_count(opened: Opened) -> None:
    cuts = opened.page.locator(".cut").all_text_contents()

    assert "… 9,680 characters more" in cuts
    assert max(len(one) for one in opened.page.locator("bdi").all_text_contents()) < 2 * MOST_OF_A_SENTENCE


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_but_a_tables_own_box_scrolls_sideways(width: int, look: Look, hostile: Path) -> None:
    assert look(hostile, TOO_WIDE, width=width) == []
    scrolled = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert look(hostile, scrolled, width=width) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme: str, look: Look, harmless: Path) -> None:
    assert look(harmless, LOW_CONTRAST, scheme=scheme) == []


def test_the_dark_page_is_dark(look: Look, harmless: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = (look(harmless, ground, scheme=scheme) for scheme in ("light", "dark"))

    assert (light, dark) == ("rgb(251, 250, 246)", "rgb(20, 22, 26)")


def test_headings_tables_and_charts_can_be_walked_without_eyes(look: Look, harmless: Path) -> None:
    levels = look(harmless, "[...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    bare = (
        "[...document.querySelectorAll('table')]"
        ".filter(one => !one.caption || [...one.querySelectorAll('th')].some(th => !th.scope)).length"
    )
    assert look(harmless, bare) == 0
    drawn = look(
        harmless,
        "[...document.querySelectorAll('svg[role=img]')]"
        ".map(one => [one.querySelector('title').textContent, one.querySelector('desc').textContent.length > 9])",
    )  # fmt: skip
    # Two widths of three charts, and of two where there is no history.
    assert len(drawn) == 10
    assert all(title and told for title, told in drawn)
    assert look(harmless, "document.querySelectorAll('svg text').length") > 20


def test_a_verdict_is_told_by_a_word_and_a_sign_and_not_by_colour_alone(look: Look, harmless: Path) -> None:
    said = look(harmless, "[...document.querySelectorAll('h1, .verdict')].map(one => one.textContent.trim())")

    assert set(said) == {"✕ FAIL", "? INCONCLUSIVE", "✓ PASS"}


def test_one_drawing_of_each_chart_is_shown(look: Look, harmless: Path) -> None:
    shown = (
        "[...document.querySelectorAll('.chart')].filter(one => one.getClientRects().length).map(one => one.className)"
    )

    assert set(look(harmless, shown, width=1280)) == {"chart wide"}
    assert set(look(harmless, shown, width=360)) == {"chart narrow"}


def test_print_cuts_no_table_and_is_light(browser: Browser, hostile: Path) -> None:
    context = browser.new_context(viewport={"width": 703, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.goto(hostile.as_uri())
    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    clipped = (
        "[...document.querySelectorAll('.scroll, table')].filter(one => "
        "one.getBoundingClientRect().right > innerWidth + 1 || one.scrollWidth > one.clientWidth + 1).length"
    )
    assert page.evaluate(clipped) == 0
    assert page.evaluate(
        "[...document.querySelectorAll('tr')].every(one => getComputedStyle(one).breakInside === 'avoid')"
    )
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    context.close()
