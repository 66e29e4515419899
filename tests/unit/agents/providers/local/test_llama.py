from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from agents.errors import ConfigurationError, ProviderError, ProviderTimeout
from agents.interfaces import (
    CompletionOptions,
    Finish,
    LLMOutput,
    Message,
    ResponseFormat,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)
from agents.providers.local.llama import CHUNKS_AHEAD, Llama, LlamaLLM
from agents.providers.local.pool import Lane
from agents.providers.local.runtime import Lazy
from telemetry.trace import TurnMarks
from tests.fakes.waiting import until

ASKED = [Message("user", "Hello?")]


class Generator:
    """Stands where llama.cpp would: calls back with `chunks` until it is told to stop."""

    def __init__(self, chunks: Sequence[dict[str, Any]]) -> None:
        self.chunks = chunks
        self.sent = 0
        self.request: dict[str, Any] = {}
        self.finished = threading.Event()

    def complete(self, request: dict[str, Any], bridge: Any) -> None:
        push: Callable[[dict[str, Any]], bool] = bridge.push
        self.request = request
        try:
            for chunk in self.chunks:
                if push(chunk):
                    return
                self.sent += 1
        finally:
            self.finished.set()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": finish, "delta": fields}]}


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("llm", threads=1, queue=4)
    yield lane
    lane.close()


def llm(lane: Lane, model: object, timeout_s: float = 10) -> LlamaLLM:
    return LlamaLLM(Lazy(lambda: cast("Llama", model)), lane, name="tiny.gguf", timeout_s=timeout_s)


async def answer(provider: LlamaLLM, tools: Sequence[ToolSpec] = (), **options: Any) -> list[LLMOutput]:
    stream = provider.complete(ASKED, tools, CompletionOptions(**options), TurnMarks(lambda: 0.0))
    return [output async for output in stream]


async def test_text_comes_as_it_is_generated_and_usage_last(lane: Lane) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    model = Generator(
        [delta(content=None), delta(content="Hi"), delta(content=" you"), delta("length"), {"usage": usage}]
    )
    schema = {"type": "object"}
    outputs = await answer(
        llm(lane, model), max_output_tokens=2, temperature=0.0, response_format=ResponseFormat(schema)
    )
    assert outputs == [TextDelta("Hi"), TextDelta(" you"), Finish("length"), Usage(9, 2, 4)]
    assert model.request["max_tokens"] == 2
    assert model.request["temperature"] == 0.0
    assert model.request["response_format"]["json_schema"]["schema"] == schema


async def test_a_tool_call_is_put_together(lane: Lane) -> None:
    def part(**fields: Any) -> dict[str, Any]:
        return delta(tool_calls=[{"index": 0, **fields}])

    model = Generator(
        [part(id="a", function={"name": "add", "arguments": '{"x"'}), part(function={"arguments": ":1}"})]
    )
    outputs = await answer(llm(lane, model), [ToolSpec("add", "Adds.")], tool_choice="add")
    assert outputs == [ToolCall("a", "add", '{"x":1}'), Usage()]
    assert model.request["tool_choice"] == {"type": "function", "function": {"name": "add"}}


async def test_a_reader_who_stops_reading_stops_the_model(lane: Lane) -> None:
    model = Generator([delta(content="word")] * 1_000)
    stream = llm(lane, model).complete(ASKED, [], CompletionOptions(), TurnMarks(lambda: 0.0))
    async with aclosing(stream):
        assert await anext(stream) == TextDelta("word")
        await until(lambda: model.sent >= CHUNKS_AHEAD)
    assert await asyncio.to_thread(model.finished.wait, 10)
    assert model.sent <= CHUNKS_AHEAD + 1


async def test_an_error_chunk_is_a_provider_error(lane: Lane) -> None:
    with pytest.raises(ProviderError, match="exceed the model's context") as failure:
        await answer(llm(lane, Generator([{"error": {"message": "no template for 'canary'"}}])))
    assert "canary" not in str(failure.value)


async def test_a_silent_model_is_a_provider_timeout(lane: Lane) -> None:
    release = threading.Event()

    class Silent:
        def complete(self, request: dict[str, Any], bridge: Any) -> None:
            release.wait(10)

    with pytest.raises(ProviderTimeout):
        await answer(llm(lane, Silent(), timeout_s=0.01))
    release.set()


def test_a_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.gguf"):
        Llama(tmp_path / "no.gguf", threads=1)
