from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from agents.errors import ClientError
from agents.interfaces import Message, ReplyRequest, ResponseFormat, ToolCall, Usage
from agents.spec import AgentSpec, ToolRef
from sessions.pipeline.bounds import Bounds
from sessions.protocols.chat_completions import ChatRequest, ChatWriter, read_chat
from sessions.protocols.text_answers import Fault, Outcome
from sessions.protocols.text_requests import TextRequest

SPEC = AgentSpec(slug="clerk", brain="llm", instructions="Be kind.", tools=(ToolRef(name="time"),))
ARRAY = {"type": "array"}
USER = {"role": "user", "content": "Hello?"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(
    *messages: dict[str, Any],
    spec: AgentSpec = SPEC,
    allowed: tuple[Any, ...] = ("instructions", "tools"),
    bounds: Bounds | None = None,
    **rest: Any,
) -> TextRequest:
    asked = msgspec.json.decode(msgspec.json.encode({"messages": messages or [USER], **rest}), type=ChatRequest)
    return read_chat(asked, spec, allowed=allowed, bounds=bounds or Bounds())


def told(*messages: dict[str, Any], **options: Any) -> ReplyRequest:
    return read(*messages, **options).for_brain(SPEC)


def refusal(*messages: dict[str, Any], **options: Any) -> ClientError:
    with pytest.raises(ClientError) as refused:
        read(*messages, **options)
    return refused.value


class TestReading:
    def test_a_conversation(self) -> None:
        request = told(
            {"role": "system", "content": "Be brief."},
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "9"}]},
            {"role": "assistant", "content": "Nine."},
            {"role": "developer", "content": "Now in German."},
            {"role": "user", "content": [{"type": "text", "text": "Once"}, {"type": "text", "text": "more?"}]},
        )
        assert request.instructions == "Be kind.\n\nBe brief."
        assert request.messages == [
            Message("user", "Hello?"),
            Message("assistant", "", calls=(ToolCall("c1", "f", "{}"),)),
            Message("tool", "9", call_id="c1"),
            Message("assistant", "Nine."),
            Message("system", "Now in German."),
            Message("user", "Once\nmore?"),
        ]
        assert not request.spoken

    def test_who_may_not_instruct_only_speaks(self) -> None:
        request = read({"role": "system", "content": "Obey."}, USER, allowed=("tools",))
        assert request.for_brain(SPEC).instructions == "Be kind."
        assert request.messages == (Message("user", "Obey."), Message("user", "Hello?"))
        assert request.refused == ("instructions",)

    def test_who_may_not_bring_tools_brings_none(self) -> None:
        request = read(tools=[TOOL], tool_choice="required", allowed=())
        assert (request.tools, request.options.tool_choice, request.refused) == ((), "auto", ("tools",))

    def test_the_newer_name_of_the_limit_wins(self) -> None:
        assert read(max_tokens=5).options.max_output_tokens == 5
        assert read(max_tokens=5, max_completion_tokens=7).options.max_output_tokens == 7

    @pytest.mark.parametrize(
        ("wanted", "read_as"),
        [
            ({"type": "text"}, None),
            ({"type": "json_object"}, ResponseFormat()),
            ({"type": "json_schema", "json_schema": {"name": "n", "schema": ARRAY}}, ResponseFormat(ARRAY, "n")),
            ({"type": "json_schema", "json_schema": {"name": "n"}}, ResponseFormat({"type": "object"}, "n")),
            (
                {"type": "json_schema", "json_schema": {"name": "n", "schema": ARRAY, "strict": True}},
                ResponseFormat(ARRAY, "n", strict=True),
            ),
        ],
    )
    def test_formats(self, wanted: dict[str, Any], read_as: ResponseFormat | None) -> None:
        assert read(response_format=wanted).options.response_format == read_as

    def test_a_tool_may_be_strict(self) -> None:
        strict = {"type": "function", "function": {"name": "g", "strict": True}}
        assert [tool.strict for tool in read(tools=[TOOL, strict]).tools] == [None, True]

    def test_the_agents_own_tools_can_be_chosen(self) -> None:
        choice = {"type": "function", "function": {"name": "time"}}
        assert read(tool_choice=choice).options.tool_choice == "time"


class TestRefusing:
    def test_what_cannot_be_had(self) -> None:
        assert refusal(n=2).param == "n"
        assert refusal(stop=["x"]).param == "stop"
        assert read(n=1, stop=[]).options.tool_choice == "auto"

    def test_what_cannot_be_seen(self) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
        error = refusal({"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]})
        assert (error.code, error.param) == ("unsupported_content", "messages[0].content[1].type")

    def test_a_result_without_its_call_and_a_call_without_its_result(self) -> None:
        assert "no tool call c1" in str(refusal(USER, {"role": "tool", "tool_call_id": "c1", "content": "9"}))
        calling = {"role": "assistant", "tool_calls": [CALL]}
        assert "No tool output found for function call c1" in str(refusal(USER, calling))
        assert "No tool output found for function call c1" in str(refusal(USER, calling, USER))
        late = {"role": "tool", "tool_call_id": "c1", "content": "9"}
        assert "no tool call c1" in str(refusal(USER, late, calling))
        assert "no tool call c1" in str(refusal(USER, calling, late, late))
        assert refusal(USER, {"role": "tool", "content": "9"}).param == "messages[1].tool_call_id"

    def test_a_choice_among_nothing(self) -> None:
        choice = {"type": "function", "function": {"name": "nothing"}}
        assert refusal(tool_choice=choice, tools=[TOOL]).param == "tool_choice"
        bare = AgentSpec(slug="bare", brain="llm")
        assert refusal(tool_choice="required", spec=bare).param == "tool_choice"

    def test_what_an_agent_without_a_model_cannot_do(self) -> None:
        answers = AgentSpec(slug="guide", brain="answers")
        assert refusal(tool_choice="required", tools=[TOOL], spec=answers).param == "tool_choice"
        assert refusal(response_format={"type": "json_object"}, spec=answers).param == "response_format"

    def test_bounds(self) -> None:
        few = Bounds(conversation_items=1, item_text_chars=5, tools=1)
        assert refusal(USER, USER, bounds=few).param == "messages"
        assert refusal(USER, bounds=few).param == "messages[0].content"
        short = {"role": "user", "content": "Hi"}
        assert refusal(short, tools=[TOOL, TOOL], bounds=few).param == "tools"
        deep: dict[str, Any] = {}
        for _ in range(100):
            deep = {"items": deep}
        function = {"name": "f", "parameters": deep}
        assert refusal(tools=[{"type": "function", "function": function}]).param == "tools[0].parameters"
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": deep}}
        assert refusal(response_format=wanted).param == "response_format.json_schema.schema"

    def test_json_that_is_too_large_is_not_read(self) -> None:
        small = Bounds(schema_bytes=100)
        no_schema: list[Any] = [[]] * 100
        tool = {"type": "function", "function": {"name": "f", "parameters": no_schema}}
        half = {"type": "function", "function": {"name": "f", "parameters": {"description": "x" * 40}}}
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": no_schema}}
        assert refusal(tools=[tool], bounds=small).code == "invalid_value"
        assert refusal(tools=[half, half], bounds=small).param == "tools"
        assert refusal(response_format=wanted, bounds=small).code == "invalid_value"
        assert refusal(tools=[tool]).code == "invalid_type"
        assert refusal(response_format=wanted).code == "invalid_type"


def events(frames: list[bytes]) -> list[Any]:
    data = [frame.decode().removeprefix("data: ").strip() for frame in frames]
    return [one if one == "[DONE]" else json.loads(one) for one in data]


def writer(**options: Any) -> ChatWriter:
    return ChatWriter("chatcmpl_1", model="gpt-4o", created=1, **options)


class TestWriting:
    def test_a_stream_as_openais_package_reads_it(self) -> None:
        w = writer()
        frames = [*w.open(), *w.text("One "), *w.text("two."), *w.close(Outcome("completed", usage=Usage(3, 2)))]
        *chunks, done = events(frames)
        read = [ChatCompletionChunk.model_validate(chunk, strict=True) for chunk in chunks]
        assert [chunk.choices[0].delta.content for chunk in read] == ["", "One ", "two.", None]
        assert [chunk.choices[0].finish_reason for chunk in read] == [None, None, None, "stop"]
        assert done == "[DONE]"

    def test_usage_comes_last_for_who_asked_and_is_null_before(self) -> None:
        w = writer(include_usage=True)
        *chunks, last, _ = events([*w.open(), *w.text("One."), *w.close(Outcome("completed", usage=Usage(3, 2, 1)))])
        assert [chunk["usage"] for chunk in chunks] == [None, None, None]
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] == 5
        assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 1}

    def test_two_calls_have_numbers(self) -> None:
        w = writer()
        frames = [*w.open(), *w.call(ToolCall("a", "f", "{}")), *w.call(ToolCall("b", "g", "[1]"))]
        pieces = [chunk["choices"][0]["delta"].get("tool_calls") for chunk in events(frames)]
        assert [piece[0]["index"] for piece in pieces if piece] == [0, 0, 1, 1]
        w.close(Outcome("completed"))
        whole = ChatCompletion.model_validate(w.shown(), strict=True)
        assert whole.choices[0].finish_reason == "tool_calls"
        assert whole.choices[0].message.content is None
        assert [call.id for call in whole.choices[0].message.tool_calls or ()] == ["a", "b"]

    @pytest.mark.parametrize(("reason", "finish"), [("max_output_tokens", "length"), ("content_filter",) * 2])
    def test_why_it_ended_early(self, reason: str, finish: str) -> None:
        w = writer()
        w.text("One")
        (last, _) = events(w.close(Outcome("incomplete", reason)))
        assert last["choices"][0]["finish_reason"] == finish

    def test_a_failure_is_an_error_in_the_stream(self) -> None:
        (error, done) = events(writer().close(Outcome("failed", fault=Fault(502, "provider_error", "It broke."))))
        assert error["error"] == {
            "message": "It broke.",
            "type": "server_error",
            "param": None,
            "code": "provider_error",
        }
        assert done == "[DONE]"

    def test_half_an_emoji_can_be_written(self) -> None:
        w = writer()
        frames = [*w.text("\ud83d"), *w.text("\ude00")]
        assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in events(frames)) == "\ud83d\ude00"
