"""A real Chromium, headless, for tests of pages."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")


class NoBrowser(RuntimeError):
    """There is no Chromium on this machine."""


def executable() -> str:
    """
    The browser's program.

    Raises:
        NoBrowser: there is none.
    """
    for name in NAMES:
        if found := shutil.which(name):
            return found
    message = "Chromium is not here; install the package chromium"
    raise NoBrowser(message)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; each test opens a context of its own in it."""
    program = executable()
    from playwright.sync_api import sync_playwright

    # As root, in a container, Chromium has no sandbox to use.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*arguments, "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()
