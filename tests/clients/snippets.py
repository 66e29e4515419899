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


def programs(page: str) -> list[str]:
    """All blocks of code on the page."""
    return [match["program"] for match in _FENCE.finditer((HOWTO / page).read_text())]


def written(client: Client, page: str, port: int) -> list[Path]:
    """The page's programs in files beside the client's packages, with another port."""
    ending = "py" if client.is_python else "mjs"
    files = []
    for number, program in enumerate(programs(page), 1):
        files.append(client.installed / f"{Path(page).stem}-{number}.{ending}")
        files[-1].write_text(PRINTED_ADDRESS.sub(f"localhost:{port}", program))
    return files
