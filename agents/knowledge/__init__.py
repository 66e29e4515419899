"""What an agent knows: documents cut into chunks, embedded, and found again."""

from agents.knowledge.chunking import ChunkData
from agents.knowledge.index import VectorIndex
from agents.knowledge.ingestion import ingest

__all__ = ["ChunkData", "VectorIndex", "ingest"]
