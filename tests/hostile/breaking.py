"""The same events, broken in every way that somebody thought of, and what the server owes for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from tests.hostile.events import Event, put

Verdict = Literal["good", "wrong", "open"]
"""What is owed: "good", the event's own answer or an error that says why not; "wrong", exactly one error;
"open", at most one error."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it goes out. `event_id` is None where the server cannot read one; `kind` is the event's type."""

    data: str | bytes
    verdict: Verdict
    kind: str = ""
    event_id: str | None = None


LONG = "l" * 100_001
DEEP: Any = None
for _ in range(80):
    DEEP = {"in": DEEP}
JUNK: list[Any] = [
    None, True, 0, -1, 3.5, 2**63, -(2**70), 1e308, "", "junk", "\u0000", "\ud83d", "x" * 3000, [], {}, [[[]]],
    {"type": []}, DEEP,
]  # fmt: skip
NO_OBJECT: list[Any] = [None, True, 7, 1.5, "x", []]
NO_STRING: list[Any] = [7, True, [], {}, 1.5]
NO_ID: list[Any] = [None, *NO_STRING]
NO_DETECTION: list[Any] = [
    7, "server_vad", [], {}, {"type": "ears"}, {"type": "server_vad", "threshold": 2},
    {"type": "server_vad", "threshold": "loud"},
    {"type": "server_vad", "silence_duration_ms": -1}, {"type": "server_vad", "prefix_padding_ms": 10**9},
    {"type": "server_vad", "idle_timeout_ms": 1}, {"type": "semantic_vad", "eagerness": "keen"},
    {"type": "server_vad", "create_response": "yes"},
]  # fmt: skip
NO_TOOLS: list[Any] = [
    "look", 7, {}, [7], [{}], [{"type": "function"}], [{"type": "function", "name": ""}],
    [{"type": "function", "name": "n" * 200}],
    [{"type": "function", "name": f"t{n}"} for n in range(129)],
    [{"type": "function", "name": "look", "parameters": DEEP}],
    [{"type": "function", "name": "look", "parameters": []}],
    [{"type": "function", "name": "look", "description": LONG}],
]  # fmt: skip
NO_ITEM: list[Any] = [
    *NO_OBJECT, {}, {"type": "thought"}, {"type": "message"}, {"type": "message", "role": "user"},
    {"type": "message", "content": []},
    {"type": "message", "role": "boss", "content": []}, {"type": "message", "role": "user", "content": "text"},
    {"type": "message", "role": "user", "content": [{"type": "input_text"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_smell", "text": "x"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": 7}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": LONG}]},
    {"type": "message", "role": "user", "content": [{"type": "input_image"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]},
    {"type": "message", "role": "user", "content": [], "id": 7}, {"type": "function_call"},
    {"type": "function_call", "name": 7, "arguments": "{}"}, {"type": "function_call_output", "output": "x"},
    {"type": "function_call_output", "call_id": "c", "output": {}},
    {"type": "function_call_output", "call_id": "c", "output": LONG},
]  # fmt: skip
MODALITIES: list[Any] = ["audio", [], ["video"], ["audio", "text"], {}, 7]
CHOICES: list[Any] = ["sometimes", 7, [], {}, {"type": "function"}]
LIMITS: list[Any] = [0, -1, 1.5, "many", [], {}]
FORMATS: list[Any] = [7, [], {}, {"type": "audio/wav"}, {"type": "audio/pcm", "rate": 7}]

WRONG: dict[str, dict[str, list[Any]]] = {
    "session.update": {
        "session": NO_OBJECT,
        "session.type": ["video", 7, []],
        "session.output_modalities": MODALITIES,
        "session.instructions": [7, [], {}, LONG],
        "session.tools": NO_TOOLS,
        "session.tool_choice": CHOICES,
        "session.max_output_tokens": LIMITS,
        "session.prompt": [{"id": "nobody"}, 7],
        "session.audio": [7, "x", []],
        "session.audio.input": [7, "x", []],
        "session.audio.input.format": FORMATS,
        "session.audio.input.turn_detection": NO_DETECTION,
        "session.audio.input.transcription": [7, "whisper-1", [], {"model": 7}],
        "session.audio.input.noise_reduction": [7, {"type": "none"}],
        "session.audio.output.format": FORMATS,
        "session.audio.output.voice": [7, [], {}, {"id": 7}],
        "session.audio.output.speed": [-1, 9, "fast", []],
        "session.tracing": [7, "loud", {"metadata": DEEP}],
    },
    "input_audio_buffer.append": {"audio": [*NO_ID, "!!!", "AAA", "A=A=", "äöüß", " "]},
    "conversation.item.create": {"item": NO_ITEM, "previous_item_id": NO_STRING},
    "conversation.item.retrieve": {"item_id": NO_ID},
    "conversation.item.delete": {"item_id": NO_ID},
    "conversation.item.truncate": {"item_id": NO_ID, "audio_end_ms": [None, -1, "soon", [], 1e30]},
    "response.create": {
        "response": [7, "x", []],
        "response.output_modalities": MODALITIES,
        "response.instructions": [7, [], LONG],
        "response.tools": NO_TOOLS,
        "response.tool_choice": CHOICES,
        "response.max_output_tokens": LIMITS,
        "response.conversation": ["both", 7, []],
        "response.metadata": [7, [], {"n": 7}, {f"k{n}": "v" for n in range(17)}, {"k" * 65: "v"}, {"k": "v" * 513}],
        "response.input": [7, "x", {}, [7], [{"type": "item_reference"}],
        [{"type": "message", "role": "boss", "content": []}]],
        "response.prompt": [{"id": "nobody"}, 7],
    },
    "response.cancel": {"response_id": NO_STRING},
    "repartee.event": {
        "key": [*NO_ID, "", "k" * 129], "data": [7, "x", [], True], "deadline_ms": [-1, 1e9, "soon", []],
    },
}  # fmt: skip
"""Values that the named field of an event cannot have."""
UNKNOWN_TYPES = ["", "x", "session.created", "response.done", "conversation.item.created", "Session.Update", "t" * 5000]
WRONG_TYPES: list[Any] = [None, 7, [], {}, True]


def good(r: Random, event: Event) -> Frame:
    """In one of the ways in which JSON may be written, with fields that nobody knows."""
    if r.random() < 0.1:
        event = {**event, "unknown_field": r.choice(JUNK[:11]), "ключ": {"nested": [1, None]}}
    return _frame(_written(r, event), "good", event)


def wrong_field(r: Random, event: Event) -> Frame:
    kind = event["type"] if event["type"] in WRONG else "session.update"
    path = r.choice(sorted(WRONG[kind]))
    value = r.choice(WRONG[kind][path])
    broken = {**event, "type": kind}
    if "." in path and not isinstance(broken.get(path.split(".")[0]), dict):
        broken[path.split(".")[0]] = {}
    put(broken, path.split("."), value)
    return _frame(_written(r, broken), "wrong", broken)


def missing_field(r: Random, event: Event) -> Frame:
    needs = {"session.update": "session", "input_audio_buffer.append": "audio", "conversation.item.create": "item"}
    needs |= {f"conversation.item.{verb}": "item_id" for verb in ("retrieve", "delete", "truncate")}
    kind = event["type"] if event["type"] in needs else r.choice(sorted(needs))
    broken = {name: value for name, value in event.items() if name != needs[kind]} | {"type": kind}
    return _frame(_written(r, broken), "wrong", broken)


def unknown_type(r: Random, event: Event) -> Frame:
    if r.random() < 0.3:
        broken = {name: value for name, value in event.items() if name != "type"}
    else:
        broken = {**event, "type": r.choice([*UNKNOWN_TYPES, *WRONG_TYPES])}
    return _frame(json.dumps(broken), "wrong", broken)


def wrong_event_id(r: Random, event: Event) -> Frame:
    return Frame(json.dumps({**event, "event_id": r.choice(NO_STRING)}), "wrong", event["type"])


def no_json(r: Random, event: Event) -> Frame:
    text = json.dumps(event)
    cut = r.randrange(len(text) - 1) if len(text) > 1 else 0
    spoilt: list[str | bytes] = [
        "", " ", "\ufeff" + text, text[:cut], text + "}", text + text, "'" + text[1:], text.replace(":", "=", 1),
        text.encode()[:cut] + b"\xff\xfe" + text.encode()[cut:], b"", b"\x00" * 9, b"\xff" * 40, "[" * 5000,
        '{"a":' * 5000,
        '{"type": "response.cancel", "x": NaN}', '{"type": "response.cancel", "x": 1e}', '{"type": "response.cancel",}',
    ]  # fmt: skip
    return Frame(r.choice(spoilt), "wrong")


def no_event(r: Random, event: Event) -> Frame:
    return Frame(
        json.dumps(r.choice([None, True, 7, 1e300, "text", [], [event], [[]], {}, {"event_id": None}])), "wrong"
    )


def mutated(r: Random, event: Event) -> Frame:
    """Junk in any place but the type: what it is worth is for the server to say."""
    path = r.choice([path for path in _paths(event) if path[0] not in ("type", "event_id")] or [("unknown",)])
    changed = _replaced(event, path, r.choice(JUNK))
    return _frame(_written(r, changed), "open", changed)


def repeated_keys(r: Random, event: Event) -> Frame:
    text = json.dumps(event)
    name = r.choice([name for name in event if name not in ("type", "event_id")] or ["unknown"])
    return _frame(f'{text[:-1]}, "{name}": {json.dumps(r.choice(JUNK))}}}', "open", event)


BREAKING: list[Callable[[Random, Event], Frame]] = [
    wrong_field, wrong_field, wrong_field, missing_field, unknown_type, wrong_event_id, no_json, no_event, mutated,
    mutated,
    repeated_keys,
]  # fmt: skip


def broken(r: Random, event: Event) -> Frame:
    return r.choice(BREAKING)(r, event)


# --- writing -------------------------------------------------------------------------------------


def _frame(data: str | bytes, verdict: Verdict, event: Event) -> Frame:
    return Frame(data, verdict, str(event.get("type")), event["event_id"])


def _written(r: Random, event: Event) -> str | bytes:
    keys = list(event)
    r.shuffle(keys)
    text = json.dumps(
        {key: event[key] for key in keys},
        ensure_ascii=r.random() < 0.5 or "\\ud83d" in json.dumps(event),
        indent=r.choice([None, None, 1]),
    )
    return text.encode() if r.random() < 0.1 else text


def _paths(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    match value:
        case dict():
            inner = [path for name, part in value.items() for path in _paths(part, (*at, name))]
        case list():
            inner = [path for index, part in enumerate(value) for path in _paths(part, (*at, index))]
        case _:
            inner = []
    return [*([at] if at else []), *inner]


def _replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    head, *rest = path
    if isinstance(value, list):
        return [_replaced(part, tuple(rest), new) if index == head else part for index, part in enumerate(value)]
    inner = value.get(head) if isinstance(value, dict) else None
    return {**(value if isinstance(value, dict) else {}), head: _replaced(inner, tuple(rest), new)}
