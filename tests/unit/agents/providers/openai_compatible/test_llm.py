from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from agents.interfaces import CompletionOptions, Message, ResponseFormat, ToolCall, ToolSpec
from agents.providers.openai_compatible.client import Client, Clients
from agents.providers.openai_compatible.llm import LIMIT, MAX_ARGUMENTS, MAX_CALLS, OpenAILLM, _Calls, _Dialect
from agents.providers.openai_compatible.messages import (
    chat_messages,
    chat_response_format,
    chat_tool_choice,
    chat_tools,
    is_json,
)
from agents.spec import Account, LLMSpec


def pieces(*raw: dict[str, Any]) -> _Calls:
    calls = _Calls()
    for one in raw:
        calls.add([ChoiceDeltaToolCall.construct(**one)])
    return calls


def summary(calls: _Calls) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in calls.whole(cut=False)]


def named(name: str, arguments: str = "", **rest: Any) -> dict[str, Any]:
    return {"function": ChoiceDeltaToolCall.construct(function={"name": name, "arguments": arguments}).function} | rest


def more(arguments: str, **rest: Any) -> dict[str, Any]:
    return {"function": ChoiceDeltaToolCall.construct(function={"arguments": arguments}).function} | rest


class TestToolCalls:
    def test_openai_numbers_the_pieces(self) -> None:
        calls = pieces(
            named("a", index=0, id="x"), more('{"n"', index=0), more(": 1}", index=0),
            named("b", index=1, id="y"), more('{"n": 2}', index=1),
        )  # fmt: skip
        assert summary(calls) == [("a", {"n": 1}), ("b", {"n": 2})]
        assert [call.id for call in calls.whole(cut=False)] == ["x", "y"]

    def test_interleaved_pieces_find_their_call(self) -> None:
        calls = pieces(
            named("a", index=0, id="x"), named("b", index=1, id="y"), more("{}", index=0), more("[]", index=1)
        )
        assert summary(calls) == [("a", {}), ("b", [])]

    def test_calls_that_are_all_number_0_are_told_apart_by_id(self) -> None:
        calls = pieces(named("a", "{}", index=0, id="x"), named("b", "{}", index=0, id="y"))
        assert summary(calls) == [("a", {}), ("b", {})]

    def test_calls_without_number_and_id_are_told_apart_by_name(self) -> None:
        calls = pieces(named("a"), more("{}"), named("b"), more("[1"), more("]"))
        assert summary(calls) == [("a", {}), ("b", [1])]
        first, second = (call.id for call in calls.whole(cut=False))
        assert first.startswith("call_")
        assert first != second

    def test_an_id_repeated_in_each_piece_is_the_same_call(self) -> None:
        calls = pieces(named("a", index=0, id="x"), more("{}", index=0, id="x"))
        assert summary(calls) == [("a", {})]

    def test_no_arguments_are_an_empty_object(self) -> None:
        assert summary(pieces(named("a", index=0, id="x"))) == [("a", {})]

    def test_a_call_without_a_name_is_none(self) -> None:
        assert pieces(more("{}", index=0, id="x")).whole(cut=False) == []

    def test_a_runaway_model_is_bounded(self) -> None:
        calls = pieces(*(named("a", "1" * 60_000, index=n, id=str(n)) for n in range(MAX_CALLS + 10)))
        calls.add([ChoiceDeltaToolCall.construct(**more("1" * 60_000, index=0))])
        whole = calls.whole(cut=False)
        assert len(whole) == MAX_CALLS
        assert len(whole[0].arguments) == MAX_ARGUMENTS

    def test_a_cut_answer_keeps_only_complete_calls(self) -> None:
        calls = pieces(named("a", "{}", index=0, id="x"), named("b", '{"n', index=1, id="y"))
        assert [call.name for call in calls.whole(cut=True)] == ["a"]


class TestDialect:
    @pytest.mark.parametrize(
        ("base_url", "limit"),
        [
            ("", "max_completion_tokens"),
            ("https://api.openai.com/v1", "max_completion_tokens"),
            ("https://mine.openai.azure.com/openai/v1", "max_completion_tokens"),
            ("http://127.0.0.1:11434/v1", "max_tokens"),
            ("https://api.openai.com.example.org/v1", "max_tokens"),
        ],
    )
    def test_openais_own_hosts_are_asked_in_the_new_way(self, base_url: str, limit: str) -> None:
        assert _Dialect.of(base_url).body({LIMIT: 7}) == {limit: 7, "stream_options": {"include_usage": True}}

    def test_a_refused_limit_is_turned_round(self) -> None:
        words = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
        assert _Dialect("max_tokens").after(words).body({LIMIT: 7})["max_completion_tokens"] == 7

    def test_who_knows_schemas_but_no_json_object_gets_the_schema_of_any(self) -> None:
        asked = {LIMIT: 7, "response_format": chat_response_format(ResponseFormat())}
        dialect = _Dialect("max_tokens").after("'response_format.type' must be 'json_schema' or 'text'")
        assert dialect.body(asked)["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}},
        }
        schema = {"response_format": chat_response_format(ResponseFormat({"type": "array"}))}
        assert dialect.body(schema)["response_format"] == schema["response_format"]
        without = "'messages' must contain the word 'json' to use 'response_format' of type 'json_object'."
        assert _Dialect("max_tokens").after(without) == _Dialect("max_tokens")

    def test_who_knows_no_strict_tools_is_told_of_none(self) -> None:
        asked = {"tools": chat_tools([ToolSpec("look", "", strict=True)]), LIMIT: 7}
        dialect = _Dialect("max_tokens").after("""Unknown name "strict" at 'tools[0].function'""")
        assert dialect.body(asked)["tools"] == chat_tools([ToolSpec("look", "")])

    def test_refused_stream_options_are_left_out(self) -> None:
        assert _Dialect("max_tokens").after("Unknown field: stream_options").body({LIMIT: 7}) == {"max_tokens": 7}

    def test_another_refusal_changes_nothing(self) -> None:
        assert _Dialect("max_tokens").after("no such model") == _Dialect("max_tokens")

    def test_what_names_a_conversation_to_the_cache_goes_to_who_knows_it(self) -> None:
        request = {"prompt_cache_key": "conv_1", LIMIT: 7}
        own = _Dialect.of("https://api.openai.com/v1")
        assert own.body(request)["prompt_cache_key"] == "conv_1"
        assert "prompt_cache_key" not in _Dialect.of("http://127.0.0.1:8080/v1").body(request)
        assert "prompt_cache_key" not in own.after("Unknown parameter: 'prompt_cache_key'.").body(request)

    @pytest.mark.parametrize(("base_url", "sent"), [("", True), ("http://127.0.0.1:8080/v1", False)])
    def test_a_request_of_a_conversation_names_it(self, base_url: str, sent: bool) -> None:
        llm = OpenAILLM(Client(Account(name="a", kind="openai_compatible", base_url=base_url), Clients()), LLMSpec())
        request = llm._request([], [], CompletionOptions(cache_key="conv_1"))
        assert ("prompt_cache_key" in llm._dialect.body(request)) is sent
        assert "prompt_cache_key" not in llm._dialect.body(llm._request([], [], CompletionOptions()))


class TestMessages:
    def test_a_history_with_a_call_and_its_result(self) -> None:
        call = ToolCall("x", "get_time", '{"zone": "UTC"}')
        assert chat_messages(
            [Message("system", "Be brief."), Message("user", "Time?"), Message("assistant", "", calls=(call,)),
             Message("tool", "09:15", call_id="x"), Message("assistant", "Nine fifteen.")]
        ) == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Time?"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "get_time", "arguments": '{"zone": "UTC"}'}}]},
            {"role": "tool", "tool_call_id": "x", "content": "09:15"},
            {"role": "assistant", "content": "Nine fifteen."},
        ]  # fmt: skip

    def test_broken_arguments_are_not_sent_back(self) -> None:
        (message,) = chat_messages([Message("assistant", "", calls=(ToolCall("x", "a", '{"n'),))])
        assert message["tool_calls"][0]["function"]["arguments"] == "{}"

    def test_a_tool_without_parameters_takes_an_empty_object(self) -> None:
        assert chat_tools([ToolSpec("now", "The time.")])[0]["function"]["parameters"] == {
            "type": "object",
            "properties": {},
            "additionalProperties": False,
        }

    def test_tool_choices(self) -> None:
        assert [chat_tool_choice(choice) for choice in ("auto", "none", "required")] == ["auto", "none", "required"]
        assert chat_tool_choice("now") == {"type": "function", "function": {"name": "now"}}

    def test_a_schema_is_asked_for_by_response_format(self) -> None:
        llm = OpenAILLM(Client(Account(name="a", kind="openai_compatible"), Clients()), LLMSpec())
        schema = {"type": "object", "properties": {"side": {"enum": ["buy", "sell"]}}}

        def sent(wanted: ResponseFormat | None) -> Any:
            return llm._request([], [], CompletionOptions(response_format=wanted)).get("response_format")

        assert sent(ResponseFormat(schema)) == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema},
        }
        assert sent(ResponseFormat(schema, "order", "What to do.", strict=True)) == {
            "type": "json_schema",
            "json_schema": {"name": "order", "description": "What to do.", "schema": schema, "strict": True},
        }
        assert sent(ResponseFormat()) == {"type": "json_object"}
        assert sent(None) is None

    @pytest.mark.parametrize("strict", [True, False])
    def test_a_tool_may_be_strict(self, strict: bool) -> None:
        assert chat_tools([ToolSpec("now", "The time.", strict=strict)])[0]["function"]["strict"] is strict
        assert "strict" not in chat_tools([ToolSpec("now", "The time.")])[0]["function"]


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_arguments_that_no_parser_takes_are_no_json(text: str) -> None:
    assert not is_json(text)
