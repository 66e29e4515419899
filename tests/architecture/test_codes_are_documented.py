"""docs/reference/events.md lists every code of an error that a Realtime client may be sent."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = ["sessions/pipeline", "sessions/protocols/realtime*.py", "sessions/serving.py", "agents/errors.py"]
CODE = re.compile(
    r"""\bcode(?:: str|, param)? ?= ?"([a-z_]+)"|ErrorOccurred\([^"]*"([a-z_]+)"|_error\("[a-z_]+", "([a-z_]+)\""""
)


def sent() -> set[str]:
    paths = [path for place in PLACES for path in _files(place)]
    found = [match for path in paths for match in CODE.finditer(path.read_text())]
    return {next(filter(None, match.groups())) for match in found}


def _files(place: str) -> list[Path]:
    whole = ROOT / place
    return sorted(whole.rglob("*.py")) if whole.is_dir() else sorted(ROOT.glob(place))


def documented() -> set[str]:
    page = (ROOT / "docs/reference/events.md").read_text()
    table = page.partition("## Codes of errors")[2].partition("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return set(re.findall(r"`([a-z_]+)`", " ".join(rows)))


def test_every_code_is_documented() -> None:
    found = sent()
    assert len(found) > 10
    assert found <= documented(), f"add to the table in docs/reference/events.md: {sorted(found - documented())}"
