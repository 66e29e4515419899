"""Model files that lie inside installed packages, found without importing (and so running) the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from agents.errors import ConfigurationError


def packaged_file(package: str, path: str) -> Path:
    """The file `path` inside an installed package; a ConfigurationError says what to install."""
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(place) / path
        if file.is_file():
            return file
    raise ConfigurationError(f"{package}/{path} is missing: install requirements-models.txt.")
