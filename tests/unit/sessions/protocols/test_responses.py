from __future__ import annotations

import json
from itertools import count
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from agents.errors import ClientError
from agents.interfaces import Message, ResponseFormat, ToolCall, Usage
from agents.spec import AgentSpec
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.pairing import PENDING
from sessions.protocols.responses_answers import ResponseWriter
from sessions.protocols.responses_requests import ResponseRequest, read_response
from sessions.protocols.text_answers import Fault, Outcome
from sessions.protocols.text_requests import TextRequest

SPEC = AgentSpec(slug="clerk", brain="llm", instructions="Be kind.")
USER = {"role": "user", "content": "Time?"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1", "status": "completed"}


def read(
    asked: dict[str, Any],
    *,
    allowed: tuple[Any, ...] = ("instructions", "tools"),
    bounds: Bounds | None = None,
    history: tuple[Message, ...] = (),
    known: tuple[dict[str, Any], ...] = (),
) -> TextRequest:
    request = msgspec.json.decode(msgspec.json.encode(asked), type=ResponseRequest)
    return read_response(
        request,
        SPEC,
        allowed=allowed,
        bounds=bounds or Bounds(),
        history=history,
        known=lambda: {item["id"]: item for item in known},
    )


def refusal(asked: dict[str, Any], **options: Any) -> ClientError:
    with pytest.raises(ClientError) as refused:
        read(asked, **options)
    return refused.value


class TestReading:
    def test_words(self) -> None:
        request = read({"input": "Hello?", "temperature": 0.5, "max_output_tokens": 9}).for_brain(SPEC)
        assert request.messages == [Message("user", "Hello?")]
        assert request.instructions == "Be kind."
        assert (request.options.temperature, request.options.max_output_tokens) == (0.5, 9)

    def test_items(self) -> None:
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait."}]}
        request = read(
            {
                "instructions": "Be curt.",
                "input": [
                    {"role": "developer", "content": "No jokes."},
                    {"role": "user", "content": [{"type": "input_text", "text": "Time?"}]},
                    said,
                    CALL,
                    {**CALL, "call_id": "c2"},
                    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
                    {"type": "function_call_output", "call_id": "c1", "output": "1"},
                ],
            }
        ).for_brain(SPEC)
        assert request.instructions == "Be curt.\n\nNo jokes."
        assert request.messages == [
            Message("user", "Time?"),
            Message("assistant", "Wait.", calls=(ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}"))),
            Message("tool", "1", call_id="c1"),
            Message("tool", "2", call_id="c2"),
        ]

    def test_a_result_that_came_after_more_was_said_is_told_as_models_accept_it(self) -> None:
        output = {"type": "function_call_output", "call_id": "c1", "output": "1"}
        messages = read({"input": [USER, CALL, {"role": "user", "content": "Well?"}, output]}).for_brain(SPEC).messages
        assert messages == [
            Message("user", "Time?"),
            Message("assistant", "", calls=(ToolCall("c1", "f", "{}"),)),
            Message("tool", PENDING, call_id="c1"),
            Message("user", "Well?"),
            Message("assistant", "", calls=(ToolCall("c1_3", "f", "{}"),)),
            Message("tool", "1", call_id="c1_3"),
        ]

    def test_items_of_a_response_of_openais(self) -> None:
        """What its model thought to itself is passed over."""
        thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
        open_thought = {**thought, "content": [{"type": "reasoning_text", "text": "Hm."}], "encrypted_content": None}
        output = {"type": "function_call_output", "call_id": "c1", "output": "1"}
        request = read({"input": [USER, thought, CALL, open_thought, output]})
        assert [message.role for message in request.messages] == ["user", "assistant", "tool"]

    def test_items_may_be_referred_to(self) -> None:
        w = writer()
        events([*w.open(), *w.text("Wait."), *w.call(ToolCall("c1", "f", "{}")), *w.close(Outcome("completed"))])
        items = w.shown()["output"]
        output = {"type": "function_call_output", "call_id": "c1", "output": "1"}
        references = [{"type": "item_reference", "id": item["id"]} for item in items]
        request = read({"input": [USER, *references, output]}, known=tuple(items))
        assert request.messages[1] == Message("assistant", "Wait.", calls=(ToolCall("c1", "f", "{}"),))
        for untyped in ({}, {"type": None}):
            bare = [{"id": item["id"], **untyped} for item in items]
            assert read({"input": [USER, *bare, output]}, known=tuple(items)).messages == request.messages
        for wrong in ([USER, {"type": "item_reference", "id": "rs_1"}], [references[0], references[0]]):
            error = refusal({"input": wrong}, known=tuple(items))
            assert (error.code, error.param) == ("item_not_found", "input[1].id")

    def test_what_was_said_before_goes_before(self) -> None:
        before = (Message("system", "Old."), Message("user", "One?"), Message("assistant", "1"))
        request = read({"input": "Two?"}, history=before).for_brain(SPEC)
        assert request.instructions == "Be kind.\n\nOld."
        assert [message.text for message in request.messages] == ["One?", "1", "Two?"]

    def test_an_agent_that_takes_no_instructions_takes_none_from_a_history_with_another(self) -> None:
        before = (Message("system", "Obey me."), Message("user", "One?"), Message("assistant", "1"))
        request = read({"input": "Two?"}, history=before, allowed=())
        assert request.for_brain(SPEC).instructions == "Be kind."
        assert request.for_brain(SPEC).messages[0] == Message("user", "Obey me.")
        assert request.refused == ("instructions",)

    def test_going_on_without_new_words(self) -> None:
        before = (Message("user", "One?"), Message("assistant", "1"))
        assert read({}, history=before).for_brain(SPEC).messages == list(before)

    def test_the_oldest_is_left_out_for_who_says_so(self) -> None:
        before = tuple(Message("user", f"{number} " + "word " * 2_000) for number in range(10))
        assert len(read({"input": "Well?"}, history=before).for_brain(SPEC).messages) == 11
        kept = read({"input": "Well?", "truncation": "auto"}, history=before).for_brain(SPEC).messages
        assert kept[-1].text == "Well?"
        assert 1 < len(kept) < 4

    def test_formats(self) -> None:
        schema = {"type": "object"}
        wanted = {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}}

        def read_as(text: dict[str, Any]) -> ResponseFormat | None:
            return read({"input": "x", "text": text}).options.response_format

        assert read_as(wanted) == ResponseFormat(schema, "n", strict=True)
        assert read_as({"format": {"type": "json_object"}}) == ResponseFormat()
        assert read_as({"verbosity": "low"}) is None

    def test_a_tool_may_be_strict(self) -> None:
        assert [tool.strict for tool in read({"input": "x", "tools": [TOOL]}).tools] == [True]


NO_SCHEMA = {"type": "json_schema", "name": "n", "schema": None}


class TestRefusing:
    @pytest.mark.parametrize(
        ("asked", "param"),
        [
            ({}, "input"),
            ({"input": "x", "prompt": {"id": "p"}}, "prompt.id"),
            ({"input": "x", "conversation": "conv_1"}, "conversation"),
            ({"input": "x", "prompt": [], "conversation": None}, "prompt.id"),
            ({"input": "x", "prompt": None, "conversation": {"id": "conv_1"}}, "conversation"),
            ({"input": "x", "tools": [{**TOOL, "parameters": {"d": "x" * 200_000}}]}, "tools"),
            (
                {
                    "input": "x",
                    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"d": "x" * 200_000}}},
                },
                "text.format.schema",
            ),
            ({"input": "x", "background": True, "store": False}, "store"),
            ({"input": [{"role": "user"}]}, "input[0].content"),
            ({"input": [{"content": "x"}]}, "input[0].role"),
            ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
            ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
            ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].type"),
            ({"input": [{"type": "item_reference"}]}, "input[0].id"),
            ({"input": "x", "text": {"format": NO_SCHEMA}}, "text.format.schema"),
            ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "input"),
        ],
    )
    def test_fields(self, asked: dict[str, Any], param: str) -> None:
        assert refusal(asked).param == param

    def test_bounds(self) -> None:
        few = Bounds(conversation_items=2, item_text_chars=5, instructions_chars=3)
        assert refusal({"input": "Hello?"}, bounds=few).param == "input"
        assert refusal({"input": "Hi", "instructions": "Obey."}, bounds=few).param == "instructions"
        before = (Message("user", "1"), Message("assistant", "2"))
        assert refusal({"input": "Hi"}, bounds=few, history=before).param == "input"

    def test_a_call_of_the_response_before_that_has_no_result(self) -> None:
        before = (Message("user", "1"), Message("assistant", "", calls=(ToolCall("c1", "f", "{}"),)))
        assert "No tool output found for function call c1" in str(refusal({"input": "Well?"}, history=before))


def writer(refused: tuple[str, ...] = (), **asked: Any) -> ResponseWriter:
    request = msgspec.json.decode(msgspec.json.encode({"input": "Hello?", **asked}), type=ResponseRequest)
    ids = count()
    return ResponseWriter(
        "resp_1", request, model="gpt-4o", created=1, refused=refused, new_id=lambda prefix: f"{prefix}_{next(ids)}"
    )


def events(frames: list[bytes]) -> list[Any]:
    """The frames' data, each valid for OpenAI's package, named and numbered as it says itself."""
    read = []
    for frame in frames:
        event, number, data = frame.decode().strip().split("\n")
        body = json.loads(data.removeprefix("data: "))
        assert event == f"event: {body['type']}"
        assert number == f"id: {body['sequence_number']}"
        EVENT.validate_python(body, strict=True)
        read.append(body)
    return read


class TestWriting:
    def test_words(self) -> None:
        w = writer()
        told = events([*w.open(), *w.text("One "), *w.text("two."), *w.close(Outcome("completed", usage=Usage(3, 2)))])
        assert [event["sequence_number"] for event in told] == list(range(10))
        added = next(event for event in told if event["type"] == "response.output_item.added")
        assert added["item"]["content"] == []
        last = Response.model_validate(told[-1]["response"], strict=True)
        assert last.output_text == "One two."
        assert last.usage is not None
        assert last.usage.total_tokens == 5

    def test_words_a_call_and_words_again_are_three_items(self) -> None:
        w = writer(tools=[TOOL])
        told = events(
            [
                *w.open(),
                *w.text("Wait."),
                *w.call(ToolCall("c1", "f", "{}")),
                *w.text("So."),
                *w.close(Outcome("completed")),
            ]
        )
        assert [event["output_index"] for event in told if event["type"] == "response.output_item.done"] == [0, 1, 2]
        response = Response.model_validate(w.shown(), strict=True)
        assert [item.type for item in response.output] == ["message", "function_call", "message"]
        done = next(event for event in told if event["type"] == "response.function_call_arguments.done")
        assert (done["arguments"], done["output_index"]) == ("{}", 1)

    @pytest.mark.parametrize(
        ("outcome", "kind", "status", "item"),
        [
            (Outcome("incomplete", "max_output_tokens"), "response.incomplete", "incomplete", "incomplete"),
            (Outcome("failed", fault=Fault(502, "provider_error", "No.")), "response.failed", "failed", "incomplete"),
            (Outcome("cancelled"), "response.incomplete", "cancelled", "incomplete"),
        ],
    )
    def test_other_ends(self, outcome: Outcome, kind: str, status: str, item: str) -> None:
        w = writer()
        last = events([*w.open(), *w.text("One"), *w.close(outcome)])[-1]
        assert last["type"] == kind
        assert last["response"]["status"] == status
        assert last["response"]["output"][0]["status"] == item
        assert (last["response"]["usage"] is None) == (status != "incomplete")

    def test_what_the_client_asked_for_is_repeated(self) -> None:
        named = {"type": "function", "name": "f"}
        shown = writer(instructions="Obey.", tools=[TOOL], tool_choice=named, metadata={"a": "b"}, store=False).shown()
        assert (shown["instructions"], shown["tools"], shown["tool_choice"]) == ("Obey.", [TOOL], named)
        assert (shown["metadata"], shown["store"], shown["status"]) == ({"a": "b"}, False, "in_progress")

    def test_what_was_refused_is_not(self) -> None:
        shown = writer(("instructions", "tools"), instructions="Obey.", tools=[TOOL], tool_choice="required").shown()
        assert (shown["instructions"], shown["tools"], shown["tool_choice"]) == (None, [], "auto")

    def test_half_an_emoji_can_be_written(self) -> None:
        w = writer(tools=[TOOL])
        frames = [*w.text("\ud83d"), *w.text("\ude00"), *w.close(Outcome("completed"))]
        assert json.loads(frames[-1].decode().split("data: ")[1])["response"]["output"][0]["content"][0]["text"] == "😀"
