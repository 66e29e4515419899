"""One Playwright for all browser tests; each test launches the Chromium that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.chromium import Chromium


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        yield Chromium(playwright, tmp_path)
