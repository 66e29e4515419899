"""Model files that lie inside installed packages, found without importing (and so running) the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from agents.errors import ConfigurationError

INSTALL = "pip install -r requirements-models.txt"


def packaged(package: str, *parts: str) -> Path:
    """A file inside an installed package; a ConfigurationError says what to install."""
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(place, *parts)
        if file.is_file():
            return file
    raise ConfigurationError(f"The model file {'/'.join(parts)} of the package {package} is missing; run: {INSTALL}")
