"""How well the guide answers: the real brain over the real index, as text.

    python benchmarks/guide_answers.py [QUESTIONS.yaml]

Prints each question with what was answered, and how many were right.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from agents.brain.answers_brain import AnswersBrain  # noqa: E402  (found through the path above)
from agents.brain.phrases import UNKNOWN  # noqa: E402
from agents.interfaces import Message, ReplyRequest, Source, TextDelta  # noqa: E402
from agents.knowledge import VectorIndex, ingest  # noqa: E402
from agents.spec import AgentSpec, ToolRef  # noqa: E402
from agents.tools.builtin import BUILTINS  # noqa: E402
from agents.tools.toolbox import AgentToolbox, server_tools  # noqa: E402
from telemetry.trace import TurnMarks  # noqa: E402

DOCUMENTS = HERE.parent / "agents" / "knowledge" / "documents"


def guide() -> AnswersBrain:
    chunks = []
    for path in sorted(DOCUMENTS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        chunks += ingest(text.partition("\n")[0].removeprefix("# "), text)
    index = VectorIndex.from_chunks(chunks)
    return AnswersBrain(index, AgentSpec(slug="guide"), topics=index.titles)


async def answer(brain: AnswersBrain, question: str) -> tuple[str, str, float]:
    """The words, the source's title, and the ms to the first words."""
    toolbox = AgentToolbox(server_tools([ToolRef(name=name) for name in BUILTINS], secrets={}))
    request = ReplyRequest([Message("user", question)], instructions="")
    words, source, first = "", "", 0.0
    began = time.perf_counter()
    async for output in brain.reply(request, toolbox, TurnMarks(time.monotonic)):
        first = first or (time.perf_counter() - began) * 1000
        match output:
            case TextDelta(text):
                words += text
            case Source(title=title):
                source = title
    return words, source, first


def right(words: str, facts: list[list[str]]) -> bool:
    said = words.lower()
    return not words.startswith(UNKNOWN) and all(any(fact.lower() in said for fact in group) for group in facts)


async def main(questions: dict[str, Any]) -> None:
    brain = guide()
    await answer(brain, "Warm up.")
    known = declined = sourced = 0
    times: list[float] = []
    for entry in questions["answerable"]:
        words, source, ms = await answer(brain, entry["ask"])
        ok = right(words, entry["facts"])
        known += ok
        sourced += source.startswith(entry["document"])
        times.append(ms)
        print(f"{'right' if ok else 'WRONG'}  {entry['ask']}\n       {words}  [{source}]")
    for question in questions["out_of_scope"]:
        words, source, ms = await answer(brain, question)
        ok = words.startswith(UNKNOWN)
        declined += ok
        times.append(ms)
        print(f"{'right' if ok else 'WRONG'}  {question}\n       {words}  [{source}]")
    answerable, outside = len(questions["answerable"]), len(questions["out_of_scope"])
    print(
        f"\nanswered {known} of {answerable} (from the expected document: {sourced}), declined {declined} of {outside}"
    )
    print(f"right {known + declined} of {answerable + outside}")
    print(f"first words after {sorted(times)[len(times) // 2]:.2f} ms median, {max(times):.2f} ms at most")


if __name__ == "__main__":
    listed = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "guide_questions.yaml"
    asyncio.run(main(yaml.safe_load(listed.read_text(encoding="utf-8"))))
