"""The documentation points at what is there: its links, its anchors, the files it names, and its agents parse."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from agents import agent_file
from agents.tools.builtin import BUILTINS
from tests.processes import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<language>\w*)\n(?P<body>.*?)^(?P=ticks)$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)|<img[^>]*\ssrc=\"(?P<source>[^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
FOLDERS = "project|sessions|agents|telemetry|tests|benchmarks|docker|docs|templates"
NAMED_FILE = re.compile(rf"`((?:{FOLDERS})/[\w./*-]+\.\w+)`")
AGENT_FILE = re.compile(r"^(agents|accounts|tools):", re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(text: str) -> str:
    """A page without its code, where brackets mean something else."""
    return CODE.sub("``", FENCE.sub("", text))


def links(text: str) -> Iterator[str]:
    for match in LINK.finditer(prose(text)):
        yield match["target"] or match["source"]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text())):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def broken(page: Path, text: str) -> list[str]:
    ours = [link for link in links(text) if "://" not in link and not link.startswith("mailto:")]
    return [link for link in ours if leads_nowhere(page, link)]


def leads_nowhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return True
    return bool(anchor) and (target.suffix != ".md" or anchor not in anchors(target))


def yaml_examples() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, match in enumerate(FENCE.finditer(page.read_text()), start=1):
            if match["language"] in ("yaml", "yml") and AGENT_FILE.search(match["body"]):
                yield f"{page.relative_to(ROOT)}:{number}", match["body"]


@each_page
def test_links_and_anchors_resolve(page: Path) -> None:
    assert broken(page, page.read_text()) == []


@each_page
def test_files_named_in_the_text_exist(page: Path) -> None:
    named = NAMED_FILE.findall(FENCE.sub("", page.read_text()))
    assert [name for name in named if not list(ROOT.glob(name))] == []


@pytest.mark.parametrize(("where", "text"), [*yaml_examples()], ids=lambda value: value if "\n" not in value else "")
def test_agents_in_the_text_parse(where: str, text: str) -> None:
    file, _ = agent_file.parse(text, lambda name: name in BUILTINS)
    assert file.agents or file.accounts or file.tools, where


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index.read_text())}
    assert [str(page.relative_to(ROOT)) for page in PAGES[1:] if page not in listed and page != index] == []


def test_a_broken_link_is_found() -> None:
    page = ROOT / "docs" / "README.md"
    text = "[a](nowhere.md) [b](#no-such-heading) ![c](images/none.svg) `[d](code.md)` [e](https://example.com/x.md)"
    assert broken(page, text) == ["nowhere.md", "#no-such-heading", "images/none.svg"]
