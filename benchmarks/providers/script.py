"""What the server does with a request: its timings, its words and its faults."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Script:
    """Times count from the last byte of the request. A rate or speed of 0 means all at once.

    `stt_ms`: to the transcript, or to the first of its words when it is streamed.
    `stt_words_per_s`: over the Realtime API, words that are out in each second of audio before its end; with
    `stt_captions` as captions that replace one another, to who takes these.
    `llm_first_ms`, `llm_tokens_per_s`: to the first token, and between tokens; a token is a word and the space "after"
    it or, as models write them, "before" it (`llm_spaces`).
    `tts_first_ms`, `tts_speed`: to the first audio, and how many seconds of audio come in one second.
    `tts_chunk_ms`: audio in one chunk of the body.

    `tool` with `tool_arguments` (JSON) is called when tools are offered and none has just answered; `style`
    is how the call looks on the wire: "openai" numbers and splits it, "ollama" sends it whole with number 0,
    "bare" has neither number nor id. `finish` and `tool_finish` are the finish reasons of a text and of a call,
    "none" for a stream that just ends. `reasoning` is a count of reasoning tokens before the answer. `refuse`
    names a parameter that is answered with 400 ("name" or "name=value"). `usage` false never reports any.

    `quote`: refusals quote the request. `messages`: the log keeps a chat's messages.

    `fault`: an HTTP status; "html" (a page with status 200); "stall", "garbage" or "disconnect" after
    `fault_after` pieces of the answer; "drip" sends everything in small pieces of odd sizes, 1 ms apart. Over the
    Realtime API also "error" after `fault_after` pieces, "failed" in place of the transcript, "deaf" (no answer to
    session.update) and "takes_turns" (its turn detection stays on).
    """

    stt_ms: float = 300.0
    stt_words_per_s: float = 0.0
    stt_captions: bool = False
    transcript: str = "What time is it?"
    no_speech: float = 0.0
    llm_first_ms: float = 200.0
    llm_tokens_per_s: float = 50.0
    llm_spaces: str = "after"
    reply: str = "Sure, it is a quarter past nine."
    tool: str = ""
    tool_arguments: str = "{}"
    style: str = "openai"
    reasoning: int = 0
    finish: str = "stop"
    tool_finish: str = "tool_calls"
    refuse: str = ""
    quote: bool = False
    messages: bool = False
    usage: bool = True
    tts_first_ms: float = 100.0
    tts_speed: float = 5.0
    tts_chunk_ms: float = 100.0
    tts_format: str = "pcm"
    fault: str = ""
    fault_after: int = 0
    retry_after: str = ""

    def changed(self, query: str) -> Script:
        """With the changes of a query string such as "llm_first_ms=50&fault=stall"."""
        return self.with_values(dict(parse_qsl(query, keep_blank_values=True)))

    def with_values(self, values: dict[str, Any]) -> Script:
        defaults = {field.name: field.default for field in fields(Script)}
        if unknown := sorted(values.keys() - defaults.keys()):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(defaults)}")
        return replace(self, **{name: _typed(value, defaults[name]) for name, value in values.items()})


SERIAL = {"stt_ms": 300, "llm_first_ms": 2000, "llm_tokens_per_s": 0, "tts_first_ms": 500, "tts_speed": 0}
"""No stage streams: each gives its whole answer at once, after all of its time."""


def _typed(value: Any, like: Any) -> Any:
    if isinstance(like, bool):
        return str(value).lower() in ("1", "true", "yes")
    return type(like)(value)
