"""What holds whatever a client sends and whatever a session says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.audio import Audio
from sessions.pipeline import messages as core
from sessions.protocols.realtime_events import CLIENT_EVENTS
from tests.unit.sessions.protocols.helpers import Client, checked
from tests.unit.sessions.protocols.scripts import ended, message, started

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["event_id", "session", "audio", "item", "item_id", "response", "previous_item_id", "audio_end_ms", "response_id"]
)
EVENTS = st.builds(
    lambda kind, fields: {"type": kind, **fields}, st.sampled_from(sorted(CLIENT_EVENTS)), st.dictionaries(FIELDS, JSON)
)
DETECTION = (
    st.none()
    | st.fixed_dictionaries(
        {"type": st.just("server_vad")},
        optional={
            "threshold": st.floats(0, 1),
            "silence_duration_ms": st.integers(0, 10_000),
            "create_response": st.booleans(),
        },
    )
    | st.fixed_dictionaries({"type": st.just("semantic_vad")}, optional={"eagerness": st.sampled_from(["low", "auto"])})
)
FORMAT = st.sampled_from([{"type": "audio/pcm"}, {"type": "audio/pcmu"}, None])
LEAVES: dict[tuple[str, ...], st.SearchStrategy[Any]] = {
    ("instructions",): st.text(max_size=20) | st.none(),
    ("output_modalities",): st.sampled_from([["audio"], ["text"], None]),
    ("tool_choice",): st.sampled_from(["auto", "none", "required", {"type": "function", "name": "f"}, None]),
    ("tools",): st.lists(
        st.fixed_dictionaries({"type": st.just("function"), "name": st.text("ab", min_size=1)}), max_size=3
    ),
    ("max_output_tokens",): st.integers(1, 4096) | st.just("inf") | st.none(),
    ("tracing",): st.sampled_from(["auto", None, {"workflow_name": "w"}]),
    ("audio", "input", "format"): FORMAT,
    ("audio", "input", "turn_detection"): DETECTION,
    ("audio", "input", "transcription"): st.sampled_from([None, {"model": "whisper-1"}]),
    ("audio", "input", "noise_reduction"): st.sampled_from([None, {"type": "near_field"}]),
    ("audio", "output", "format"): FORMAT,
    ("audio", "output", "voice"): st.sampled_from(["ash", "marin", {"id": "v"}, None]),
    ("audio", "output", "speed"): st.floats(0.25, 1.5) | st.none(),
}
CHANGES = st.fixed_dictionaries({}, optional=LEAVES)
Changes = dict[tuple[str, ...], Any]


def patch(changes: Changes) -> dict[str, Any]:
    session: dict[str, Any] = {}
    for path, value in changes.items():
        place = session
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return session


def answers_to(client: Client, data: str | bytes) -> None:
    """Whatever it is, it becomes commands or one error, and the answer is one that OpenAI's types accept."""
    decoded = client.protocol.decode(data)
    assert not (decoded.commands and decoded.replies)
    assert [reply["type"] for reply in checked(decoded.replies)] in ([], ["error"])
    for command in decoded.commands:
        if isinstance(command, core.Configure):
            assert [e["type"] for e in client.sees(core.Configured(command.config, command.spelling))] == [
                "session.updated"
            ]


@given(st.binary() | st.text())
def test_no_message_raises(data: str | bytes) -> None:
    answers_to(Client(), data)


@given(JSON)
def test_no_json_raises(data: Any) -> None:
    answers_to(Client(), json.dumps(data))


@given(st.lists(EVENTS, max_size=3))
def test_no_event_raises(events: list[dict[str, Any]]) -> None:
    client = Client()
    for event in events:
        answers_to(client, json.dumps(event))


@given(st.dictionaries(FIELDS, JSON), st.text(max_size=30))
def test_an_errors_event_id_is_the_clients(fields: dict[str, Any], event_id: str) -> None:
    decoded = Client().protocol.decode(json.dumps({"type": "no.such.event", **fields, "event_id": event_id}))
    (error,) = checked(decoded.replies)

    assert error["error"]["event_id"] == event_id


@given(CHANGES)
def test_an_update_made_twice_changes_nothing_more(changes: Changes) -> None:
    client = Client()

    assert client.updates(**patch(changes)) == client.updates(**patch(changes))


@given(CHANGES, st.data())
def test_updates_of_different_fields_may_come_in_any_order_or_at_once(changes: Changes, data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(changes)))
    one_by_one = Client()
    for path in order:
        one_by_one.updates(**patch({path: changes[path]}))

    assert one_by_one.updates() == Client().updates(**patch(changes))


@given(CHANGES, st.dictionaries(st.text("xyz", min_size=1), JSON))
def test_unknown_fields_change_nothing(changes: Changes, unknown: dict[str, Any]) -> None:
    assert Client().updates(**{**unknown, **patch(changes)}) == Client().updates(**patch(changes))


# --- a response, whatever is in it ---

PIECES = st.lists(st.text(max_size=8) | st.binary(max_size=40).map(lambda b: Audio(b[: len(b) // 2 * 2], 24_000)))


def said(pieces: Sequence[str | Audio], modality: core.Modality, *, cut: bool) -> list[core.Event]:
    events: list[core.Event] = [
        started(modality=modality),
        core.OutputStarted("resp_a", message(modality=modality, status="in_progress"), 0, modality, True, None),
    ]
    for piece in pieces:
        if isinstance(piece, str):
            events.append(core.TextOut("resp_a", "item_r", 0, piece))
        elif modality == "audio":
            events.append(core.AudioOut("resp_a", "item_r", 0, piece))
    item = message("heard", modality=modality, status="incomplete" if cut else "completed")
    reason = "turn_detected" if cut else None
    return [
        *events,
        core.OutputDone("resp_a", item, 0, modality, True, None),
        ended(item, modality=modality, status="cancelled" if cut else "completed", reason=reason),
    ]


@settings(max_examples=50)
@given(PIECES, st.sampled_from(["audio", "text"]), st.booleans())
def test_a_response_repeats_at_its_end_what_its_deltas_said(
    pieces: list[str | Audio], modality: core.Modality, cut: bool
) -> None:
    events = Client().sees(*said(pieces, modality, cut=cut))
    kind, key = ("output_audio_transcript", "transcript") if modality == "audio" else ("output_text", "text")
    deltas = "".join(e["delta"] for e in events if e["type"] == f"response.{kind}.delta")
    (done,) = [e for e in events if e["type"] == f"response.{kind}.done"]

    assert deltas == "".join(piece for piece in pieces if isinstance(piece, str))
    assert done[key] == deltas
    assert [item["content"][0][key] for item in events[-1]["response"]["output"]] == [deltas]


@settings(max_examples=50)
@given(PIECES, st.sampled_from(["audio", "text"]), st.booleans())
def test_what_a_response_opens_it_closes_inside_out(
    pieces: list[str | Audio], modality: core.Modality, cut: bool
) -> None:
    kinds = [event["type"] for event in Client().sees(*said(pieces, modality, cut=cut))]
    frame = [
        kind
        for kind in kinds
        if not kind.endswith(".delta") and "output_text" not in kind and "output_audio" not in kind
    ]

    assert frame == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    inner = kinds[kinds.index("response.content_part.added") + 1 : kinds.index("response.content_part.done")]
    assert all(kind.endswith(".delta") for kind in inner[: -2 if modality == "audio" else -1])
