"""The suite of real clients is complete, its locks are portable, and its report cannot pass by saying nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.environments import CLIENTS, HERE, NODE
from tests.clients.report import SCENARIOS, Report, Result, parsed
from tests.clients.snippets import HOWTO, programs

each_manifest = pytest.mark.parametrize(
    "manifest", sorted(HERE.glob("*/package.json")), ids=lambda path: path.parent.name
)


def test_every_page_that_connects_a_client_is_run_by_one() -> None:
    pages = sorted(page.name for page in HOWTO.glob("connect-*.md"))
    assert sorted(page for client in CLIENTS for page in client.documents) == pages
    assert all(programs(page) for page in pages)


def test_every_client_has_a_driver_and_a_lock() -> None:
    assert {client.folder for client in CLIENTS} == {path.parent for path in HERE.glob("*/driver.*")}
    assert all(list(client.folder.glob(f"{client.driver}.*")) for client in CLIENTS)
    assert all(client.lock.exists() for client in (*CLIENTS, NODE))


@each_manifest
def test_node_locks_pin_exactly_and_name_no_registry(manifest: Path) -> None:
    locked = json.loads(manifest.with_name("package-lock.json").read_text())["packages"]
    wanted = json.loads(manifest.read_text())["dependencies"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("integrity" in package and "resolved" not in package for path, package in locked.items() if path)


def test_a_driver_that_ends_early_has_failed_what_it_left_out() -> None:
    report = Report()
    report.add(Result("PASS", "someone", SCENARIOS[0], "fine"))
    report.missing("someone")
    assert report.failed == len(SCENARIOS) - 1
    assert list(report.lines())[-1] == f"1 passed, {len(SCENARIOS) - 1} failed"


def test_only_whole_result_lines_count() -> None:
    assert parsed("someone", "PASS text turn: 3 deltas\n") == Result("PASS", "someone", "text turn", "3 deltas")
    assert parsed("someone", "NONE bad key: it has none") == Result("NONE", "someone", "bad key", "it has none")
    assert parsed("someone", "  PASS text turn: quoted in a traceback") is None
    assert parsed("someone", "PASSED") is None
