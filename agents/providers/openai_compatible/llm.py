"""Chat completions of any OpenAI-compatible server, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import uuid4

import openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

from agents.errors import ProviderError
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
from agents.providers.openai_compatible.client import Client
from agents.providers.openai_compatible.errors import broken_off, is_openai, refusal, unexpected
from agents.providers.openai_compatible.messages import (
    JSON_OBJECT,
    chat_messages,
    chat_response_format,
    chat_tool_choice,
    chat_tools,
    is_json,
)
from agents.spec import LLMSpec
from telemetry.trace import TurnMarks

if TYPE_CHECKING:
    from openai import AsyncStream

DEFAULT_MODEL: Final = "gpt-5.4-mini"
USAGE_WAIT_S: Final = 1.0
"""The usage follows the last word; a server that then dawdles is not waited for longer than this."""
LIMIT: Final = "limit"
"""Stands for the token limit in a request until the dialect names it."""
CACHE_KEY: Final = "prompt_cache_key"
MAX_CALLS: Final = 64
MAX_ARGUMENTS: Final = 100_000
"""Bounds on what a runaway model may have assembled: tool calls, and characters of arguments each."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What a server makes of the parameters on which servers differ.

    OpenAI's reasoning models refuse `max_tokens`. Most other servers know it and nothing else, and some
    (Ollama) drop what they do not know without a word, so that a wrong guess there would lift the limit
    unseen. So its own hosts are asked in the new way, all others in the old one, and a refusal (400)
    turns it round. A server that refuses `stream_options` is asked without, and so is one that refuses `strict` tools.
    One that knows no `json_object` but schemas (LM Studio) is given that of any object. `prompt_cache_key` is for
    OpenAI's hosts only, and for no model there that refuses it.
    """

    limit: Literal["max_tokens", "max_completion_tokens"]
    stream_options: bool = True
    json_object: bool = True
    strict_tools: bool = True
    cache_key: bool = False

    @classmethod
    def of(cls, base_url: str) -> _Dialect:
        return cls("max_completion_tokens", cache_key=True) if is_openai(base_url) else cls("max_tokens")

    def body(self, request: dict[str, Any]) -> dict[str, Any]:
        body = {self.limit if key == LIMIT else key: value for key, value in request.items()}
        if not self.cache_key:
            body.pop(CACHE_KEY, None)
        if not self.json_object and body.get("response_format") == JSON_OBJECT:
            body["response_format"] = chat_response_format(ResponseFormat({"type": "object"}))
        if not self.strict_tools and "tools" in body:
            body["tools"] = [_lenient(tool) for tool in body["tools"]]
        return body | {"stream_options": {"include_usage": True}} if self.stream_options else body

    def after(self, words: str) -> _Dialect:
        """The dialect to try next when this one was refused with `words`; the same if that explains nothing."""
        if self.stream_options and ("stream_options" in words or "include_usage" in words):
            return replace(self, stream_options=False)
        if self.json_object and "response_format" in words and "json_schema" in words:
            return replace(self, json_object=False)
        if self.strict_tools and "strict" in words and "tools" in words:
            return replace(self, strict_tools=False)
        if self.cache_key and CACHE_KEY in words:
            return replace(self, cache_key=False)
        if self.limit in words:
            return replace(self, limit="max_tokens" if self.limit != "max_tokens" else "max_completion_tokens")
        return self


def _lenient(tool: dict[str, Any]) -> dict[str, Any]:
    function = {name: value for name, value in tool["function"].items() if name != "strict"}
    return {**tool, "function": function}


class OpenAILLM:
    def __init__(self, client: Client, spec: LLMSpec) -> None:
        self._client = client
        self._spec = spec
        self._dialect = _Dialect.of(client.account.base_url)

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions, marks: TurnMarks
    ) -> AsyncGenerator[LLMOutput, None]:
        mark = f"llm[{marks.number('llm')}]"
        request = self._request(messages, tools, options)
        async with self._client.lease() as api:
            marks.fact("llm_model", request["model"])
            marks.stamp(f"{mark}.request_sent")
            due = self._client.first_due()
            stream = await self._open(api, request, due)
            try:
                async with aclosing(self._read(stream, due, marks, mark)) as outputs:
                    async for output in outputs:
                        yield output
            finally:
                await stream.close()

    def _request(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions
    ) -> dict[str, Any]:
        request: dict[str, Any] = {"model": self._spec.model or DEFAULT_MODEL, "messages": chat_messages(messages)}
        temperature = self._spec.temperature if options.temperature is None else options.temperature
        if temperature is not None:
            request["temperature"] = temperature
        if tools:
            request["tools"] = chat_tools(tools)
            if options.tool_choice != "auto":
                request["tool_choice"] = chat_tool_choice(options.tool_choice)
        if options.response_format is not None:
            request["response_format"] = chat_response_format(options.response_format)
        if options.cache_key:
            request[CACHE_KEY] = options.cache_key
        request[LIMIT] = options.max_output_tokens or self._spec.max_output_tokens
        return request

    async def _open(
        self, api: openai.AsyncOpenAI, request: dict[str, Any], due: float
    ) -> AsyncStream[ChatCompletionChunk]:
        """The stream, once the server's dialect is found; one that worked is remembered for later calls."""
        refused: set[_Dialect] = set()
        dialect = self._dialect
        while True:
            body = dialect.body(request)

            def create(body: dict[str, Any] = body) -> Awaitable[AsyncStream[ChatCompletionChunk]]:
                return api.chat.completions.create(stream=True, **body)

            try:
                stream = await self._client.send(due, create)
            except ProviderError as error:
                refused.add(dialect)
                dialect = dialect.after(refusal(error))
                if dialect in refused:
                    raise
                continue
            await self._check(stream)
            self._dialect = dialect
            return stream

    async def _check(self, stream: AsyncStream[ChatCompletionChunk]) -> None:
        kind = stream.response.headers.get("content-type", "").partition(";")[0]
        if kind in ("text/html", "application/json"):
            await stream.close()
            raise unexpected(self._client.account, f"{kind} without streaming")

    async def _read(
        self, stream: AsyncStream[ChatCompletionChunk], due: float, marks: TurnMarks, mark: str
    ) -> AsyncGenerator[LLMOutput, None]:
        calls = _Calls()
        usage: Usage | None = None
        while (chunk := await self._client.wait(due, anext(stream, None))) is not None:
            marks.stamp(f"{mark}.first_chunk")
            usage = _usage(chunk) or usage
            delta, finish = self._parse(chunk)
            if delta is not None and (delta.content or delta.tool_calls):
                marks.stamp(f"{mark}.first_token")
                calls.add(delta.tool_calls or ())
                if delta.content:
                    yield TextDelta(delta.content)
            if finish is not None:
                for output in _ending(calls, finish):
                    yield output
                marks.stamp(f"{mark}.end")
                usage = await self._late_usage(stream) or usage
                break
            due = self._client.next_due()  # the reader's time is not the model's
        else:
            raise broken_off(self._client.account)
        if usage is not None:
            yield usage

    def _parse(self, chunk: object) -> tuple[ChoiceDelta | None, str | None]:
        """The first choice's delta and finish reason. The library checks no types, so this does."""
        if not isinstance(chunk, ChatCompletionChunk) or not isinstance(chunk.choices, list | None):
            raise unexpected(self._client.account, "a chunk that is no chat completion")
        if not chunk.choices:
            return None, None
        choice = chunk.choices[0]
        delta = getattr(choice, "delta", None)
        if delta is not None and not _is_delta(delta):
            raise unexpected(self._client.account, "a chunk that is no chat completion")
        return delta, getattr(choice, "finish_reason", None)

    async def _late_usage(self, stream: AsyncStream[ChatCompletionChunk]) -> Usage | None:
        """What comes after the last word. The answer is whole by then, so nothing that fails here matters."""
        due = asyncio.get_running_loop().time() + USAGE_WAIT_S
        usage: Usage | None = None
        try:
            while (chunk := await self._client.wait(due, anext(stream, None))) is not None:
                usage = _usage(chunk) or usage
        except ProviderError:
            return usage
        return usage


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: str


class _Calls:
    """Tool calls assembled from their pieces.

    OpenAI numbers the pieces. Ollama and Gemini number every call 0 but give each its id; llama.cpp has
    sent pieces with no id; so a piece begins a new call if its number is new, or if it brings another id.
    """

    def __init__(self) -> None:
        self._by_index: dict[int, _Call] = {}
        self._all: list[_Call] = []

    def add(self, pieces: Sequence[ChoiceDeltaToolCall]) -> None:
        for piece in pieces:
            call = self._call_of(piece)
            if piece.function is not None:
                call.name = call.name or piece.function.name or ""
                call.arguments = (call.arguments + (piece.function.arguments or ""))[:MAX_ARGUMENTS]

    def whole(self, *, cut: bool) -> list[ToolCall]:
        """All calls with a name. When the answer was `cut` short, only those whose arguments are complete."""
        named = [ToolCall(call.id, call.name, call.arguments or "{}") for call in self._all if call.name]
        return [call for call in named if not cut or is_json(call.arguments)]

    def _call_of(self, piece: ChoiceDeltaToolCall) -> _Call:
        names_new = bool(piece.function is not None and piece.function.name)
        last = len(self._by_index) - 1
        number: object = getattr(piece, "index", None)
        index = number if isinstance(number, int) else max(0, last + (1 if names_new else 0))
        call = self._by_index.get(index)
        if call is None or (piece.id and piece.id != call.id and names_new):
            call = self._by_index[index] = _Call(piece.id or f"call_{uuid4().hex[:24]}", "", "")
            if len(self._all) < MAX_CALLS:
                self._all.append(call)
        return call


def _ending(calls: _Calls, finish: str) -> list[LLMOutput]:
    match finish:
        case "length" | "content_filter":
            return [*calls.whole(cut=True), Finish(finish)]
        case _:
            return [*calls.whole(cut=False)]


def _is_delta(delta: object) -> bool:
    if not isinstance(delta, ChoiceDelta) or not isinstance(delta.content, str | None):
        return False
    return all(_is_piece(piece) for piece in delta.tool_calls or ())


def _is_piece(piece: object) -> bool:
    if not isinstance(piece, ChoiceDeltaToolCall):
        return False
    texts: tuple[object, ...] = () if piece.function is None else (piece.function.name, piece.function.arguments)
    return all(isinstance(text, str | None) for text in texts)


def _usage(chunk: ChatCompletionChunk) -> Usage | None:
    usage = getattr(chunk, "usage", None)
    if not isinstance(usage, CompletionUsage):
        return None
    details = usage.prompt_tokens_details
    return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, (details and details.cached_tokens) or 0)
