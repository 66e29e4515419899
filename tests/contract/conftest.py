"""The real models, loaded once for all contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents.providers.local.models import LocalModels


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModels]:
    models = LocalModels(tmp_path_factory.mktemp("models"))
    yield models
    models.close()
