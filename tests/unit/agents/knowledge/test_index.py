from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from agents.errors import ConfigurationError
from agents.knowledge import ChunkData, VectorIndex, ingest
from agents.knowledge.embeddings import DIMENSIONS, embedder

BREAD = """# Bread
## Baking
<!-- asked: How hot must the oven be? -->
Bread is baked at two hundred and thirty degrees until the crust is brown.

## Keeping
A loaf stays fresh for three days when it is wrapped in a cloth.
"""
CHEESE = "# Cheese\n## Ripening\nA wheel of Gruyere ripens in the cellar for at least five months."


@pytest.fixture(scope="module")
def chunks() -> list[ChunkData]:
    return [*ingest("Bread", BREAD, "https://example.org/bread"), *ingest("Cheese", CHEESE)]


@pytest.fixture(scope="module")
def index(chunks: list[ChunkData]) -> VectorIndex:
    return VectorIndex.from_chunks(chunks)


@pytest.mark.parametrize(
    ("question", "section"),
    [
        ("How long can I keep a loaf?", "Keeping"),
        ("What temperature does the stove need?", "Baking"),
        ("When is the cheese ready?", "Ripening"),
        ("how old is grew yare", "Ripening"),
    ],
)
async def test_the_passage_that_answers_comes_first(index: VectorIndex, question: str, section: str) -> None:
    assert (await index.search(question, 2))[0].section == section


def test_a_passage_comes_once_with_its_own_section_however_it_was_found(index: VectorIndex) -> None:
    found = index.find("How hot must the oven be?", 10)
    assert found[0].section == "Baking"
    assert len(found) == 3
    assert found[0].url == "https://example.org/bread"


def test_what_has_nothing_to_do_with_the_documents_scores_low(index: VectorIndex) -> None:
    assert index.find("Who won the football match?", 1)[0].score < 0.3 < index.find("How is bread baked?", 1)[0].score


def test_titles_are_listed_once(index: VectorIndex) -> None:
    assert index.titles == ("Bread", "Cheese")


@pytest.mark.parametrize("question", ["", "?!", "the of and", "\u00e9\u4e2d\u6587"])
def test_a_question_without_words_is_answered_too(index: VectorIndex, question: str) -> None:
    assert all(np.isfinite(passage.score) for passage in index.find(question, 3))


def test_a_question_like_a_decoy_scores_lower_and_others_do_not(index: VectorIndex, chunks: list[ChunkData]) -> None:
    decoys = ingest("Elsewhere", "<!-- not: How do I keep a rabbit?; Who sang Yesterday? -->")
    assert [(decoy.text, decoy.section) for decoy in decoys] == [
        ("", "How do I keep a rabbit?"),
        ("", "Who sang Yesterday?"),
    ]
    guarded = VectorIndex.from_chunks([*chunks, *decoys])

    def best(where: VectorIndex, question: str) -> float:
        return where.find(question, 1)[0].score

    assert best(guarded, "How can I keep rabbits?") < best(index, "How can I keep rabbits?") - 0.1
    assert best(guarded, "How is bread baked?") >= best(index, "How is bread baked?")


def test_a_decoy_is_never_found(index: VectorIndex, chunks: list[ChunkData]) -> None:
    decoys = ingest("Elsewhere", "<!-- not: Who sang Yesterday? -->")
    guarded = VectorIndex.from_chunks([*decoys, *chunks])
    found = guarded.find("Who sang Yesterday?", 10)
    assert {passage.title for passage in found} == {"Bread", "Cheese"}
    assert all(passage.text for passage in found)
    assert guarded.titles == index.titles
    assert VectorIndex.from_chunks(decoys).find("Who sang Yesterday?", 5) == []


async def test_an_index_of_nothing_finds_nothing() -> None:
    assert await VectorIndex.from_chunks([]).search("anything", 5) == []


def test_vectors_of_another_model_are_refused_by_the_documents_name(chunks: list[ChunkData]) -> None:
    with pytest.raises(ConfigurationError, match="Bread"):
        VectorIndex.from_chunks([replace(chunks[0], vector=b"\0" * 1024)])


def test_a_document_without_text_has_no_chunks() -> None:
    assert ingest("Empty", "# Empty\n\n```\ncode\n```\n") == []


def test_vectors_have_unit_length_and_do_not_depend_on_company() -> None:
    texts = ["short", "a much longer sentence about the weather in the mountains"]
    together = embedder().embed(texts)
    assert together.shape == (2, DIMENSIONS)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    alone = np.concatenate([embedder().embed([text]) for text in texts])
    assert ((together * alone).sum(axis=1) > 0.98).all()  # padding moves int8 results a little


def test_many_threads_may_share_an_index(index: VectorIndex) -> None:
    expected = index.find("How is bread baked?", 3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: index.find("How is bread baked?", 3), range(32)))
    assert all([p.text for p in one] == [p.text for p in expected] for one in found)
