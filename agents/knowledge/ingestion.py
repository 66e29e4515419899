"""From a document to what is stored of it."""

from __future__ import annotations

from agents.knowledge.chunking import ChunkData, chunk, decoys
from agents.knowledge.embeddings import embedder


def ingest(title: str, text: str, url: str = "") -> list[ChunkData]:
    """The chunks of a Markdown document with their vectors, in reading order.

    Each passage comes once under its section and once for each question it answers; the vector of the
    first is of section and text, that of the others of the question. Then come the decoys.
    CPU-bound: about 5 ms a chunk.
    """
    rows = [
        (piece.text, heading, heading if heading != piece.section else f"{title}. {heading}. {piece.text}")
        for piece in chunk(text)
        for heading in dict.fromkeys((piece.section, *piece.asked))
    ]
    rows += [("", question, question) for question in decoys(text)]
    vectors = embedder().embed([meaning for _, _, meaning in rows])
    return [
        ChunkData(passage, heading, title, url, vector.astype("<f4").tobytes())
        for (passage, heading, _), vector in zip(rows, vectors, strict=True)
    ]
