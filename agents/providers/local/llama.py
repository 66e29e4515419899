"""A GGUF language model in this process, through llama.cpp. Needs the optional package xllamacpp.

llama.cpp speaks OpenAI's chat format and calls back, in the thread that generates, with each chunk.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.errors import ConfigurationError, ProviderError, ProviderTimeout
from agents.interfaces import (
    CompletionOptions,
    Finish,
    LLMOutput,
    Message,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)
from agents.providers.local.pool import Lane
from agents.providers.local.runtime import Lazy
from agents.providers.openai_compatible.messages import (
    chat_messages,
    chat_response_format,
    chat_tool_choice,
    chat_tools,
)
from agents.spec import EMBEDDED_CONTEXT_TOKENS
from telemetry.trace import TurnMarks

Chunk = dict[str, Any]

CHUNKS_AHEAD = 64
"""Chunks generated but not read yet; beyond, the model waits."""


class Llama:
    """The loaded model. `complete` blocks its thread for the whole answer."""

    def __init__(self, path: Path, *, threads: int) -> None:
        if not path.is_file():
            raise ConfigurationError(f"There is no GGUF model at {path}; correct the agent's LLM model.")
        try:
            xllamacpp = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise ConfigurationError("A GGUF model needs xllamacpp; run: pip install xllamacpp") from error
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = EMBEDDED_CONTEXT_TOKENS
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = threads
        parameters.verbosity = 0
        parameters.api_keys = [secrets.token_urlsafe()]  # it also listens on a loopback port, which nobody shall use
        parameters.cors_origins = ""
        with _llama_errors():
            self._server = xllamacpp.Server(parameters)

    def complete(self, request: Chunk, bridge: _Bridge) -> None:
        with _llama_errors():
            self._server.handle_chat_completions(request, bridge.push)


class LlamaLLM:
    def __init__(self, model: Lazy[Llama], lane: Lane, *, name: str, timeout_s: float) -> None:
        self._model = model
        self._lane = lane
        self._name = name
        self._timeout_s = timeout_s

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions, marks: TurnMarks
    ) -> AsyncGenerator[LLMOutput, None]:
        """Text as it comes, then whole tool calls, then Usage. Closing it stops the model at its next token."""
        call = f"llm[{marks.number('llm')}]"
        marks.fact("llm_model", self._name)
        marks.stamp(f"{call}.request_sent")
        answer = _Answer()
        bridge = _Bridge(asyncio.get_running_loop(), self._timeout_s)
        job = self._lane.submit(self._work, _request(messages, tools, options), bridge)
        job.add_done_callback(bridge.end)
        try:
            while (chunk := await bridge.get()) is not None:
                marks.stamp(f"{call}.first_chunk")
                if text := answer.take(chunk):
                    marks.stamp(f"{call}.first_token")
                    yield TextDelta(text)
            await job
            marks.stamp(f"{call}.end")
            for output in answer.rest():
                yield output
        finally:
            bridge.stop()
            job.cancel()

    def _work(self, request: Chunk, bridge: _Bridge) -> None:
        self._model.get().complete(request, bridge)


class _Bridge:
    """A bounded queue from the generating thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._queue: asyncio.Queue[Chunk | None] = asyncio.Queue()  # bounded by _room
        self._room = threading.Semaphore(CHUNKS_AHEAD)
        self._stopped = threading.Event()

    def push(self, chunk: Chunk) -> bool:
        """Called in the thread; waits for room. True tells llama.cpp to stop."""
        self._room.acquire()
        if not self._stopped.is_set():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, chunk)
        return self._stopped.is_set()

    async def get(self) -> Chunk | None:
        """The next chunk; None after the last."""
        try:
            async with asyncio.timeout(self._timeout_s):
                chunk = await self._queue.get()
        except TimeoutError as error:
            message = f"The GGUF model was silent for {self._timeout_s:g} s."
            raise ProviderTimeout(message, provider="llama") from error
        self._room.release()
        return chunk

    def end(self, job: asyncio.Future[None]) -> None:
        self._queue.put_nowait(None)

    def stop(self) -> None:
        self._stopped.set()
        self._room.release()


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


class _Answer:
    """Puts an answer's chunks together."""

    def __init__(self) -> None:
        self._calls: dict[int, _PartialCall] = {}
        self._finish = ""
        self._usage = Usage()

    def take(self, chunk: Chunk) -> str:
        """The text in `chunk`; the rest is kept for the end."""
        if "error" in chunk:
            raise ProviderError("llama.cpp refused the request; it may exceed the model's context.", provider="llama")
        if usage := chunk.get("usage"):
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            self._usage = Usage(usage["prompt_tokens"], usage["completion_tokens"], cached)
        if not chunk.get("choices"):
            return ""
        choice = chunk["choices"][0]
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta", {})
        for part in delta.get("tool_calls") or ():
            self._take_call(part)
        return delta.get("content") or ""

    def rest(self) -> Iterator[LLMOutput]:
        for number, call in self._calls.items():
            yield ToolCall(call.id or f"call_{number}", call.name, call.arguments)
        if self._finish == "length":
            yield Finish("length")
        yield self._usage

    def _take_call(self, part: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(part.get("index", 0), _PartialCall())
        function = part.get("function", {})
        call.id = part.get("id") or call.id
        call.name += function.get("name") or ""
        call.arguments += function.get("arguments") or ""


def _request(messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions) -> Chunk:
    request: Chunk = {
        "messages": chat_messages(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if options.max_output_tokens is not None:
        request["max_tokens"] = options.max_output_tokens
    if options.temperature is not None:
        request["temperature"] = options.temperature
    if options.response_format is not None:
        request["response_format"] = chat_response_format(options.response_format)
    if tools:
        request["tools"] = chat_tools(tools)
        request["tool_choice"] = chat_tool_choice(options.tool_choice)
    return request


@contextmanager
def _llama_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ProviderError(f"llama.cpp failed ({type(error).__name__}).", provider="llama") from None
