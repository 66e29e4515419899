"""What a client's events become, and what is said of those that are wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from agents.audio import Audio
from agents.interfaces import ToolSpec
from agents.spec import FeedSpec
from sessions.pipeline import messages as core
from sessions.pipeline.bounds import Bounds
from sessions.protocols.realtime_audio import MAX_APPEND_BYTES
from sessions.protocols.realtime_responses import Spelling
from tests.unit.sessions.protocols.helpers import GUIDE, Client, b64

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def text_item(item_id: str, role: Any, text: str) -> core.MessageItem:
    return core.MessageItem(item_id, role, (core.Content("text", text=text),))


@pytest.mark.parametrize("samples", [1, 7, 2_400])
def test_audio_of_any_length_is_appended(samples: int) -> None:
    pcm = bytes(2 * samples)

    assert Client().asks("input_audio_buffer.append", audio=b64(pcm)) == core.AppendAudio(Audio(pcm, 24_000))


def test_telephone_audio_is_decoded() -> None:
    client = Client()
    client.updates(audio={"input": {"format": {"type": "audio/pcmu"}}})

    assert client.asks("input_audio_buffer.append", audio=b64(b"\xff\x80")) == core.AppendAudio(
        Audio((0).to_bytes(2, "little") + (32_124).to_bytes(2, "little"), 8_000)
    )


def test_no_audio_is_no_command() -> None:
    decoded = Client().says("input_audio_buffer.append", audio="")

    assert (decoded.commands, decoded.replies) == ([], ())


def test_the_longest_append_is_taken_and_a_longer_one_is_not() -> None:
    client = Client()
    command = client.asks("input_audio_buffer.append", audio=b64(bytes(MAX_APPEND_BYTES)))
    error = client.is_refused("input_audio_buffer.append", audio=b64(bytes(MAX_APPEND_BYTES + 2)), event_id="e1")

    assert isinstance(command, core.AppendAudio)
    assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "audio", "e1")


@pytest.mark.parametrize(
    ("audio", "says"),
    [
        ("AAA", "base64"),
        ("AA-_", "base64"),
        ("AAAA\n", "base64"),
        ("ÄÄÄÄ", "base64"),
        (b64(b"123"), "3 bytes"),
    ],
)
def test_bad_audio_is_refused(audio: str, says: str) -> None:
    error = Client().is_refused("input_audio_buffer.append", audio=audio, event_id="e1")

    assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "audio", "e1")
    assert says in error["message"]


def test_start_sample_is_for_clients_with_extensions() -> None:
    event = {"audio": b64(b"\0\0"), "start_sample": 480}

    assert Client().asks("input_audio_buffer.append", **event) == core.AppendAudio(Audio(b"\0\0", 24_000))
    assert Client(extensions=True).asks("input_audio_buffer.append", **event) == core.AppendAudio(
        Audio(b"\0\0", 24_000), 480
    )


@pytest.mark.parametrize(
    ("event", "fields", "command"),
    [
        ("input_audio_buffer.commit", {}, core.CommitAudio("e1")),
        ("input_audio_buffer.clear", {}, core.ClearAudio("e1")),
        ("conversation.item.retrieve", {"item_id": "i"}, core.RetrieveItem("i", "e1")),
        ("conversation.item.delete", {"item_id": "i"}, core.DeleteItem("i", "e1")),
        (
            "conversation.item.truncate",
            {"item_id": "i", "content_index": 0, "audio_end_ms": 1500},
            core.TruncateItem("i", 1500, "e1"),
        ),
        (
            "conversation.item.truncate",
            {"item_id": "i", "content_index": 0, "audio_end_ms": 99.7},
            core.TruncateItem("i", 99, "e1"),
        ),
        ("response.cancel", {}, core.CancelResponse(None, "e1")),
        ("response.cancel", {"response_id": "r"}, core.CancelResponse("r", "e1")),
        ("response.create", {}, core.CreateResponse(core.ResponseOptions(), "e1")),
        ("response.create", {"response": None}, core.CreateResponse(core.ResponseOptions(), "e1")),
    ],
)
def test_events_become_commands(event: str, fields: dict[str, Any], command: core.Command) -> None:
    assert Client().asks(event, event_id="e1", **fields) == command


def test_clearing_the_clients_own_playback_is_no_error() -> None:
    decoded = Client().says("output_audio_buffer.clear", event_id="e1")

    assert (decoded.commands, decoded.replies) == ([], ())


def test_playback_is_reported_by_clients_with_extensions() -> None:
    event = {"response_id": "r", "item_id": "i", "played_ms": 500.4, "state": "playing", "voice_to_voice_ms": 812.5}

    assert Client(extensions=True).asks("repartee.playback", **event) == core.ReportPlayback(
        "r", "i", 500, "playing", 812.5
    )
    assert Client().is_refused("repartee.playback", **event)["code"] == "unknown_event"


# --- items ---


@pytest.mark.parametrize(
    ("item", "becomes"),
    [
        ({**USER, "id": "mine", "object": "realtime.item", "status": "completed"}, text_item("mine", "user", "hi")),
        (USER, text_item("item_1", "user", "hi")),
        (
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "x"}]},
            text_item("item_1", "system", "x"),
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
            text_item("item_1", "assistant", "x"),
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]},
            text_item("item_1", "assistant", "x"),
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "x"}]},
            text_item("item_1", "assistant", "x"),
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "audio", "transcript": "x"}]},
            core.MessageItem("item_1", "assistant", (core.Content("audio", transcript="x"),)),
        ),
        (
            {"type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": "{}"},
            core.CallItem("f", "c", "n", "{}"),
        ),
        ({"type": "function_call", "name": "n", "arguments": "{}"}, core.CallItem("item_1", "call_1", "n", "{}")),
        ({"type": "function_call_output", "call_id": "c", "output": ""}, core.CallOutputItem("item_1", "c", "")),
    ],
)
def test_items_are_created(item: dict[str, Any], becomes: core.Item) -> None:
    command = Client().asks("conversation.item.create", item=item, previous_item_id="root", event_id="e1")

    assert command == core.CreateItem(becomes, "root", "e1")


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({"role": "user", "content": []}, "missing_required_parameter", "item.type"),
        ({"type": "mcp_call"}, "invalid_value", "item.type"),
        ({"type": "message", "content": []}, "missing_required_parameter", "item.role"),
        ({"type": "message", "role": "pirate", "content": []}, "invalid_value", "item.role"),
        ({"type": "message", "role": "user", "content": "hi"}, "invalid_type", "item.content"),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_text"}]},
            "missing_required_parameter",
            "item.content[0].text",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]},
            "invalid_value",
            "item.content[0].audio",
        ),
        ({"type": "function_call_output", "call_id": "c", "output": 3}, "invalid_type", "item.output"),
        ({"type": "function_call_output", "call_id": "c", "output": "x" * 11}, "invalid_value", "item.output"),
    ],
)
def test_bad_items_are_refused(item: dict[str, Any], code: str, param: str) -> None:
    error = Client(bounds=Bounds(item_text_chars=10)).is_refused("conversation.item.create", item=item, event_id="e1")

    assert (error["code"], error["param"], error["event_id"]) == (code, param, "e1")


# --- responses ---


def test_a_response_takes_all_its_options() -> None:
    command = Client().asks(
        "response.create",
        response={
            "instructions": "Rhyme.",
            "output_modalities": ["text"],
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": 100,
            "audio": {"output": {"voice": {"id": "v"}, "format": {"type": "audio/pcm"}}},
            "metadata": {"client_event_id": "x"},
            "conversation": "none",
            "input": [{"type": "item_reference", "id": "i"}, {**USER, "id": "new"}],
            "temperature": 0.8,
        },
    )

    assert command == core.CreateResponse(
        core.ResponseOptions(
            instructions="Rhyme.",
            modality="text",
            tools=(ToolSpec("f", "d", {"type": "object"}),),
            tool_choice="f",
            max_output_tokens=100,
            voice="v",
            metadata={"client_event_id": "x"},
            in_conversation=False,
            input=("i", text_item("new", "user", "hi")),
            spelling=Spelling("audio/pcm", "v"),
        )
    )


def test_an_empty_context_is_not_the_history() -> None:
    command = Client().asks("response.create", response={"input": []})

    assert isinstance(command, core.CreateResponse)
    assert command.options.input == ()


def test_a_client_without_the_right_cannot_steer_a_response() -> None:
    client = Client(allowed=())
    command = client.asks(
        "response.create",
        response={
            "instructions": "Swear.",
            "tools": [{"type": "function", "name": "f"}],
            "tool_choice": "required",
            "audio": {"output": {"voice": "v", "format": {"type": "audio/pcmu"}}},
            "output_modalities": ["text"],
            "metadata": {"a": "b"},
        },
    )

    assert command == core.CreateResponse(core.ResponseOptions(metadata={"a": "b"}))
    assert sorted(client.protocol.refused) == [
        "response.audio.output.format",
        "response.audio.output.voice",
        "response.instructions",
        "response.output_modalities",
        "response.tool_choice",
        "response.tools",
    ]


def test_a_client_without_the_right_has_no_system_messages() -> None:
    system = {"type": "message", "id": "s", "role": "system", "content": [{"type": "input_text", "text": "Swear."}]}
    client = Client(allowed=())

    assert client.asks("conversation.item.create", item=system) == core.CreateItem(text_item("s", "user", "Swear."))
    assert client.protocol.refused == {"item.role": 1}
    command = client.asks("response.create", response={"input": [system]})
    assert isinstance(command, core.CreateResponse)
    assert command.options.input == (text_item("s", "user", "Swear."),)


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "response.output_modalities"),
        ({"metadata": {"a": 1}}, "invalid_type", "response.metadata[...]"),
        ({"metadata": {str(n): "" for n in range(17)}}, "invalid_value", "response.metadata"),
        ({"max_output_tokens": 0}, "invalid_value", "response.max_output_tokens"),
        ({"prompt": {"id": "p"}}, "invalid_value", "response.prompt.id"),
        ({"instructions": "x" * 11}, "invalid_value", "response.instructions"),
        ({"tools": [{"type": "function", "name": "f"}] * 2}, "invalid_value", "response.tools"),
        ({"input": [{"type": "item_reference", "id": "i"}] * 3}, "invalid_value", "response.input"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "response.tools[0].type"),
        ({"input": [{"type": "message", "role": "user"}]}, "missing_required_parameter", "response.input[0].content"),
    ],
)
def test_bad_responses_are_refused(response: dict[str, Any], code: str, param: str) -> None:
    bounds = Bounds(instructions_chars=10, tools=1, conversation_items=2)
    error = Client(bounds=bounds).is_refused("response.create", response=response, event_id="e1")

    assert (error["code"], error["param"], error["event_id"]) == (code, param, "e1")


# --- messages that are no events ---


@pytest.mark.parametrize(
    "data", ["", "{", "nonsense", b"\xff\xfe", '{"type":"x"} {"type":"y"}', "NaN", '{"a":' * 3_000 + "1" + "}" * 3_000]
)
def test_what_is_not_json_is_refused(data: str | bytes) -> None:
    error = Client().is_refused(data)

    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_json")


@pytest.mark.parametrize("data", ["[]", "3", '"text"', "null"])
def test_what_is_not_an_object_is_refused(data: str) -> None:
    assert Client().is_refused(data)["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("event", "code", "param", "event_id"),
    [
        ({"type": "response.createx", "event_id": "e1"}, "unknown_event", "type", "e1"),
        ({"event_id": "e1"}, "missing_required_parameter", "type", "e1"),
        ({"type": 3, "event_id": "e1"}, "invalid_value", "type", "e1"),
        ({"type": "response.cancel", "event_id": 3}, "invalid_type", "event_id", None),
        ({"type": "session.update", "event_id": "e1"}, "missing_required_parameter", "session", "e1"),
        ({"type": "session.update", "session": [], "event_id": "e1"}, "invalid_type", "session", "e1"),
        ({"type": "input_audio_buffer.append", "event_id": "e1"}, "missing_required_parameter", "audio", "e1"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": -1},
            "invalid_value",
            "audio_end_ms",
            None,
        ),
    ],
)
def test_bad_events_are_refused(event: dict[str, Any], code: str, param: str, event_id: str | None) -> None:
    error = Client().is_refused(event)

    assert (error["code"], error["param"], error["event_id"]) == (code, param, event_id)


def test_the_session_goes_on_after_an_error() -> None:
    client = Client()
    client.is_refused("{")

    assert client.asks("input_audio_buffer.commit") == core.CommitAudio()


def test_bytes_are_read_like_text() -> None:
    decoded = Client().says(json.dumps({"type": "input_audio_buffer.commit"}).encode())

    assert decoded.commands == [core.CommitAudio()]


DEEP = json.loads("[" * 100 + "]" * 100)
FED = msgspec.structs.replace(GUIDE, feed=FeedSpec(mode="text"))


def test_an_event_is_pushed_with_its_size_as_it_was_sent() -> None:
    client = Client(FED, extensions=True)
    asked = client.asks("repartee.event", key="ACME", data={"price": 1.5}, deadline_ms=20)
    assert asked == core.PushEvent("ACME", {"price": 1.5}, len('{"price": 1.5}'), 20)
    assert client.asks("repartee.event", key="ACME", data=None) == core.PushEvent("ACME", None)


def test_events_are_only_for_agents_with_a_feed_and_clients_that_asked_for_extensions() -> None:
    event = {"key": "ACME", "data": {}}
    assert Client(FED).is_refused("repartee.event", **event)["code"] == "unknown_event"
    assert Client(extensions=True).is_refused("repartee.event", **event)["code"] == "feed_off"
    listener = Client(FED, extensions=True, kind="transcription")
    assert listener.is_refused("repartee.event", **event)["code"] == "feed_off"


def test_a_large_event_is_refused() -> None:
    client = Client(FED, extensions=True, bounds=Bounds(feed_event_bytes=21))
    client.asks("repartee.event", key="a", data={"text": "x" * 9})
    error = client.is_refused("repartee.event", key="a", data={"text": "x" * 10}, event_id="e1")
    assert (error["code"], error["param"], error["event_id"]) == ("event_too_large", "data", "e1")
    assert client.is_refused("repartee.event", key="a", data=[[]] * 10)["code"] == "event_too_large"


@pytest.mark.parametrize(("data", "code"), [([], "invalid_type"), ({"a": DEEP}, "invalid_value")])
def test_an_event_is_a_shallow_object(data: Any, code: str) -> None:
    error = Client(FED, extensions=True).is_refused("repartee.event", key="a", data=data)
    assert (error["code"], error["param"]) == (code, "data")


# --- too much of it ---


def test_an_event_that_is_not_audio_or_an_item_has_a_bound_of_its_own() -> None:
    client = Client(bounds=Bounds(event_chars=300))
    before = client.updates()
    for event in (
        {"type": "session.update", "session": {"tracing": {"metadata": {"m": "x" * 300}}}},
        {"type": "response.create", "response": {"metadata": {"m": "x" * 300}}},
        {"type": "conversation.item.retrieve", "item_id": "x" * 300},
    ):
        error = client.is_refused({**event, "event_id": "e1"})
        assert (error["code"], error["event_id"]) == ("invalid_value", "e1")
        assert "At most 300 characters" in error["message"]
    assert client.updates() == before
    client.asks("input_audio_buffer.append", audio=b64(bytes(300)))
    client.asks("conversation.item.create", item={**USER, "content": [{"type": "input_text", "text": "x" * 300}]})


@pytest.mark.parametrize(
    "event",
    [
        '{"type": "session.update", "event_id": "e1", "session": 3, "pad": "%s"}',
        '{"session": 3, "pad": "%s", "event_id": "e1", "type": "session.update"}',
        '{"type": "input_audio_buffer.clear", "event_id": "e1", "pad": "%s"}',
        '{"type": "repartee.event", "event_id": "e1", "pad": "%s"}',
        '{"event_id": "e1", "audio": "%s"}',
        '{"event_id": "e1", "type": ["%s"]}',
        '{"type": "input_audio_buffer.append", "event_id": "e1", "pad": "%s", "type": "session.update"}',
    ],
)
@pytest.mark.parametrize("length", [200, 400])
def test_what_is_too_long_is_not_read(event: str, length: int) -> None:
    client = Client(bounds=Bounds(event_chars=200, item_event_chars=400))

    error = client.is_refused(event % ("x" * length))

    assert "At most 200 characters, got " in error["message"]
    assert (error["code"], error["event_id"]) == ("invalid_value", "e1")


def test_an_item_has_a_longer_bound_and_audio_the_longest() -> None:
    client = Client(bounds=Bounds(event_chars=100, item_event_chars=300))
    image = {"type": "input_image", "image_url": f"data:,{'x' * 100}"}
    client.asks("conversation.item.create", item={**USER, "content": [image]})
    client.asks("input_audio_buffer.append", audio=b64(bytes(600)))

    error = client.is_refused("conversation.item.create", item={**USER, "content": [image] * 2}, event_id="e1")

    assert error["message"].startswith("At most 300 characters")
    assert error["event_id"] == "e1"


def test_the_parts_of_an_item_share_its_bound() -> None:
    parts = [{"type": "input_text", "text": "12345"}, {"type": "input_audio", "transcript": "123456"}]
    client = Client(bounds=Bounds(item_text_chars=10))

    assert client.is_refused("conversation.item.create", item={**USER, "content": parts})["param"] == "item.content"


def test_an_item_has_only_so_many_parts() -> None:
    client = Client(bounds=Bounds(item_parts=2))
    part = {"type": "input_text", "text": ""}
    client.asks("conversation.item.create", item={**USER, "content": [part] * 2})

    error = client.is_refused("conversation.item.create", item={**USER, "content": [part] * 3})

    assert (error["code"], error["param"]) == ("invalid_value", "item.content")
    assert error["message"] == "At most 2 parts, got 3; send more items instead."


def test_an_image_is_taken_and_not_kept() -> None:
    client = Client()
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{'A' * 2_000_000}"}

    command = client.asks("conversation.item.create", item={**USER, "id": "photo", "content": [image]})

    assert command == core.CreateItem(core.MessageItem("photo", "user", (core.Content("image"),)))
    (added,) = client.sees(core.ItemAdded(command.item, None))
    assert added["item"]["content"] == [{"type": "input_image"}]


@pytest.mark.parametrize("field", ["id", "name", "call_id"])
def test_names_are_short(field: str) -> None:
    call = {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}", field: "x" * 513}

    assert Client().is_refused("conversation.item.create", item=call)["param"] == f"item.{field}"
