"""The programs printed in the how-to pages, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.clients.environments import Client
from tests.processes import ROOT

HOWTO: Final = ROOT / "docs" / "howto"
PRINTED_ADDRESS: Final = re.compile(r"localhost:8000\b")
_FENCE: Final = re.compile(r"^```(?:python|js)\n(?P<program>.*?)^```$", re.MULTILINE | re.DOTALL)


def program(page: str) -> str:
    """The first block of code on the page."""
    match = _FENCE.search((HOWTO / page).read_text())
    if match is None:
        raise ValueError(f"{page} has no program")
    return match["program"]


def written(client: Client, page: str, port: int) -> Path:
    """The page's program in a file beside the client's packages, with another port."""
    file = client.installed / f"{Path(page).stem}{'.py' if client.is_python else '.mjs'}"
    file.write_text(PRINTED_ADDRESS.sub(f"localhost:{port}", program(page)))
    return file
