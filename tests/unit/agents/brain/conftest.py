from __future__ import annotations

import pytest

from agents import guide
from agents.knowledge import VectorIndex, ingest


@pytest.fixture(scope="session")
def shipped() -> VectorIndex:
    """The index over the shipped documents."""
    return VectorIndex.from_chunks(
        chunk for document in guide.shipped_documents() for chunk in ingest(document.title, document.text)
    )
