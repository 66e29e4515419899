"""Every client event as a good client may send it.

`@item0`, `@response1` and the like stand for ids that only the running session knows; `sequences.resolved` puts
them in.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, Literal

from agents import g711
from agents.audio import Audio

Event = dict[str, Any]
Make = Callable[[Random], Any]
Kind = Literal["realtime", "transcription"]
RATE = 24_000
WORDS = ["hello", "Stop!", "what time is it?", "", " ", "naïve 🙂 text", "a\u0000b", "\u202egnirts", "line\nline", "{}"]
NAMES = ["look", "ask_a_colleague", "x" * 128, "näme", "__proto__"]
OWN_IDS = ["mine_0", "mine_1", "mine_2", "root ", "item_0", "ключ", "i" * 64]
"""Few, so that they collide."""


@dataclass(frozen=True)
class Sounds:
    """What a client may say: a clip that the server's VAD takes for speech, at 24 kHz."""

    speech: Audio

    @cached_property
    def clips(self) -> Mapping[str, str]:
        """Ready for `append`: PCM and G.711, speech and silence, tiny and long, each of an even number of bytes."""
        narrow = self.speech.resampled(g711.RATE)
        narrow = narrow.slice(0, narrow.samples // 2 * 2)
        quiet = Audio.silence(700, RATE)
        return {
            "speech": _base64(self.speech.pcm),
            "start": _base64(self.speech.slice(0, RATE // 4).pcm),
            "silence": _base64(quiet.pcm),
            "frame": _base64(Audio.silence(20, RATE).pcm),
            "one sample": _base64(b"\x00\x01"),
            "nothing": "",
            "mu-law speech": _base64(g711.encode(narrow, "mu")),
            "a-law silence": _base64(b"\xd5" * 5600),
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def reference(kind: Literal["item", "response", "call"]) -> Make:
    """An id that the session made, the newest first; what it is when there is none is a name that nobody has."""
    return lambda r: f"@{kind}{r.randrange(3)}"


def one_of(*values: Any) -> Make:
    return lambda r: r.choice(values)


# --- the session ---------------------------------------------------------------------------------


def server_vad(r: Random) -> Event:
    fields: dict[str, Make] = {
        "threshold": one_of(0, 0.5, 1, 0.3),
        "prefix_padding_ms": one_of(0, 300, 5000),
        "silence_duration_ms": one_of(0, 200, 500, 10_000),
        "idle_timeout_ms": one_of(None, 5000, 30_000),
        "create_response": one_of(True, False, None),
        "interrupt_response": one_of(True, False, None),
        "model_version": one_of("v9"),
    }
    return {"type": "server_vad", **some(r, fields)}


def semantic_vad(r: Random) -> Event:
    fields: dict[str, Make] = {
        "eagerness": one_of("low", "medium", "high", "auto"),
        "create_response": one_of(True, False),
        "interrupt_response": one_of(True, False),
    }
    return {"type": "semantic_vad", **some(r, fields)}


def tool(r: Random) -> Event:
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}
    return {"type": "function", "name": r.choice(NAMES), **some(r, {"parameters": one_of(schema, {}, None)})}


def tools(r: Random) -> list[Event]:
    return list({made["name"]: made for made in (tool(r) for _ in range(r.choice([0, 1, 1, 3])))}.values())


FORMATS = one_of(
    {"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcm"}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}, None
)
TOOL_CHOICES = one_of("auto", "none", "required", {"type": "function", "name": "look"}, None)
LIMITS = one_of(1, 7, 4096, "inf", None)
INSTRUCTIONS = one_of("", "Be brief.", "Повтори!", "i" * 4000, None)
SESSION: dict[tuple[str, ...], Make] = {
    ("model",): one_of("gpt-realtime", "another", None),
    ("output_modalities",): one_of(["audio"], ["text"], None),
    ("instructions",): INSTRUCTIONS,
    ("tools",): tools,
    ("tool_choice",): TOOL_CHOICES,
    ("max_output_tokens",): LIMITS,
    ("tracing",): one_of("auto", None, {"workflow_name": "w", "metadata": {"a": [1, {"b": None}]}}),
    ("truncation",): one_of("auto", {"type": "retention_ratio", "retention_ratio": 0.5}, None),
    ("prompt",): one_of(None),
    ("include",): one_of(None, ["item.input_audio_transcription.logprobs"], []),
    ("parallel_tool_calls",): one_of(True, False, None),
    ("reasoning",): one_of({"effort": "low"}, {}, None),
    ("temperature",): one_of(0.8, None),
    ("audio", "input", "format"): FORMATS,
    ("audio", "input", "transcription"): one_of(None, {"model": "whisper-1"}, {"model": "any", "language": "en"}),
    ("audio", "input", "noise_reduction"): one_of(None, {"type": "near_field"}, {"type": "far_field"}),
    ("audio", "input", "turn_detection"): lambda r: r.choice([server_vad, semantic_vad, one_of(None)])(r),
    ("audio", "output", "format"): FORMATS,
    ("audio", "output", "voice"): one_of("ash", "marin", {"id": "v"}, "", None),
    ("audio", "output", "speed"): one_of(0.25, 1, 1.5, None),
}


def session_update(r: Random) -> Event:
    session: Event = {"type": "realtime"} if r.random() < 0.8 else {}
    for path in r.sample(sorted(SESSION), r.choice([0, 1, 1, 2, 5])):
        put(session, path, SESSION[path](r))
    return {"type": "session.update", "session": session}


# --- items and responses -------------------------------------------------------------------------


def message(r: Random) -> Event:
    role = r.choice(["user", "user", "assistant", "system"])
    return {"type": "message", "role": role, "content": [_part(r, role) for _ in range(r.choice([1, 1, 2, 0]))]}


def _part(r: Random, role: str) -> Event:
    text = r.choice(WORDS)
    match role, r.random():
        case "assistant", chance:
            return {"type": "output_text" if chance < 0.7 else "text", "text": text}
        case "user", chance if chance < 0.15:
            return {"type": "input_audio", "transcript": text}
        case "user", chance if chance < 0.25:
            return {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
        case _:
            return {"type": "input_text", "text": text}


def item(r: Random) -> Event:
    own = {"id": r.choice(OWN_IDS)} if r.random() < 0.6 else {}
    match r.randrange(6):
        case 0:
            call = {"name": r.choice(NAMES), "arguments": r.choice(["{}", "not JSON", ""]), "call_id": "c1"}
            return {"type": "function_call", **call, **own}
        case 1:
            call_id = r.choice([reference("call")(r), "c1", "nothing"])
            return {"type": "function_call_output", "call_id": call_id, "output": r.choice(WORDS), **own}
        case _:
            return {**message(r), **own}


def item_create(r: Random) -> Event:
    places = one_of(None, "root", "mine_0", "nowhere", reference("item")(r))
    return {"type": "conversation.item.create", "item": item(r), **some(r, {"previous_item_id": places}, 0.3)}


def of_item(event: str) -> Make:
    named = [*OWN_IDS, "", "nobody"]
    return lambda r: {"type": event, "item_id": reference("item")(r) if r.random() < 0.7 else r.choice(named)}


def truncate(r: Random) -> Event:
    end = r.choice([0, 1, 250, 1500.0, 10**9])
    return {**of_item("conversation.item.truncate")(r), "content_index": 0, "audio_end_ms": end}


def _context(r: Random) -> list[Event] | None:
    if r.random() < 0.3:
        return None
    known = {"type": "item_reference", "id": r.choice([reference("item")(r), "mine_0", "nobody"])}
    return [known if r.random() < 0.3 else item(r) for _ in range(r.randrange(4))]


def response_create(r: Random) -> Event:
    fields: dict[str, Make] = {
        "instructions": INSTRUCTIONS,
        "output_modalities": one_of(["audio"], ["text"], ["text"], None),
        "tools": tools,
        "tool_choice": TOOL_CHOICES,
        "max_output_tokens": LIMITS,
        "conversation": one_of("auto", "none", "none"),
        "input": _context,
        "prompt": one_of(None),
        "temperature": one_of(1.0),
        "audio": one_of(None, {"output": {"voice": "ash"}}, {"output": {"format": {"type": "audio/pcmu"}}}),
    }
    return {"type": "response.create", "response": some(r, fields, 0.25)}


def response_cancel(r: Random) -> Event:
    running = one_of(None, "resp_nobody", reference("response")(r))
    return {"type": "response.cancel", **some(r, {"response_id": running})}


def playback(r: Random) -> Event:
    state = r.choice(["started", "playing", "stopped", "ended"])
    place = {"response_id": reference("response")(r), "item_id": reference("item")(r)}
    return {"type": "repartee.playback", **place, "played_ms": r.choice([0, 400, 1e9]), "state": state}


def pushed(r: Random) -> Event:
    data = r.choice([{"x": r.randint(0, 9)}, {"x": 1.5, "more": {"deep": [None, True, "é"]}}, {}, None])
    event = {"type": "repartee.event", "key": r.choice(["a", "b", "клавиша", "k" * 128]), "data": data}
    return {**event, **some(r, {"deadline_ms": one_of(0, 50, 60_000)})}


EVENTS: dict[str, Make] = {
    "session.update": session_update,
    "input_audio_buffer.commit": one_of({"type": "input_audio_buffer.commit"}),
    "input_audio_buffer.clear": one_of({"type": "input_audio_buffer.clear"}),
    "output_audio_buffer.clear": one_of({"type": "output_audio_buffer.clear"}),
    "conversation.item.create": item_create,
    "conversation.item.retrieve": of_item("conversation.item.retrieve"),
    "conversation.item.delete": of_item("conversation.item.delete"),
    "conversation.item.truncate": truncate,
    "response.create": response_create,
    "response.cancel": response_cancel,
    "repartee.playback": playback,
    "repartee.event": pushed,
}
"""By type, all but `append`, which needs sounds."""


def append(r: Random, sounds: Sounds) -> Event:
    clip = sounds.clips[r.choice(sorted(sounds.clips))]
    return {"type": "input_audio_buffer.append", "audio": clip, **some(r, {"start_sample": one_of(0, 2**40)}, 0.1)}


def good_event(r: Random, sounds: Sounds) -> Event:
    """Any event, the busier ones more often."""
    kinds = [*EVENTS, "conversation.item.create", "response.create", "response.create", "append", "append"]
    kind = r.choice(kinds)
    return append(r, sounds) if kind == "append" else dict(EVENTS[kind](r))


# --- building ------------------------------------------------------------------------------------


def some(r: Random, fields: Mapping[str, Make], chance: float = 0.5) -> Event:
    return {name: make(r) for name, make in fields.items() if r.random() < chance}


def put(within: Event, path: Sequence[str], value: Any) -> None:
    """Set a field at a path, and make the objects on the way."""
    for name in path[:-1]:
        inner = within.get(name)
        within[name] = within = dict(inner) if isinstance(inner, dict) else {}
    within[path[-1]] = value
