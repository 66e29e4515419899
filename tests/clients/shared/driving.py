"""What the drivers written in Python share. It runs in a client's own environment: standard library only.

A driver declares scenarios, then calls `run()`. Each prints one line, which the runner reads:

    PASS voice turn: heard 8 of 8 words, 2.1 s of speech came back
    FAIL bad key: AssertionError: …
    NONE client secret: why the client has no such thing
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import sys
import time
import traceback
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

RATE: Final = 24_000
PIECE_MS: Final = 20
PIECE: Final = RATE * 2 * PIECE_MS // 1000
LIMIT_S: Final = 60.0

Scenario = Callable[[], Awaitable[str]]
_scenarios: dict[str, Scenario] = {}


class NotApplicable(Exception):
    """The client has nothing of the kind; the message says why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the server is, and what is said to it. `base_url` ends in /v1; `speech` is 16-bit mono PCM at 24 kHz."""

    base_url: str
    key: str
    provider: str
    speech: bytes
    words: frozenset[str]

    @property
    def ws_url(self) -> str:
        return self.base_url.replace("http", "ws", 1)

    def remembered(self) -> list[dict[str, Any]]:
        """The messages of the newest chat that the scripted language model was asked for."""
        with urllib.request.urlopen(f"{self.provider}/_log", timeout=5) as answer:
            log = json.load(answer)["requests"]
        messages: list[dict[str, Any]] = [one for one in log if one["path"].endswith("/chat/completions")][-1]["asked"][
            "messages"
        ]
        return messages

    def secret(self, model: str) -> str:
        """A client secret for `model`, made as any program may make one."""
        body = json.dumps({"session": {"type": "realtime", "model": model}}).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.base_url}/realtime/client_secrets", body, headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            value: str = json.load(answer)["value"]
        return value

    def agent_remembers(self, kept: str | None, heard_ms: float) -> str:
        """Asserts that of the story that was cut off the agent remembers `kept`, and that so much can be heard.

        `kept` is None for a client that does not ask what was kept.
        """
        memory = [one["content"] for one in self.remembered() if one["role"] == "assistant"]
        kept = kept or "".join(memory)
        assert memory == [kept], f"the agent remembers {memory}, not {kept!r}"
        spoken = len(kept.split())
        assert 0 < spoken <= 2 + 4 * heard_ms / 1000, f"{heard_ms} ms of speech are not {kept!r}"
        return f"after {heard_ms:.0f} ms remembers {kept!r}"

    def heard(self, transcript: str) -> str:
        """Asserts that the speech was understood. How well, in words."""
        found = self.words & set(re.findall(r"[a-z']+", transcript.lower()))
        assert len(found) >= 0.7 * len(self.words), f"of the speech was understood: {transcript!r}"
        return f"heard {len(found)} of {len(self.words)} words"


def stage() -> Stage:
    """As the runner set it up."""
    return Stage(
        base_url=os.environ["REPARTEE_BASE_URL"],
        key=os.environ["REPARTEE_API_KEY"],
        provider=os.environ["SCRIPTED_PROVIDER"],
        speech=Path(os.environ["SPEECH_FILE"]).read_bytes(),
        words=frozenset(os.environ["SPEECH_WORDS"].split()),
    )


class Wire:
    """What came over one connection, for the runner to hold against the protocol's rules."""

    def __init__(self) -> None:
        self._number = next(_connections)

    def see(self, event: str | bytes | Mapping[str, Any]) -> None:
        """`event` in the order of the wire, as JSON or as data."""
        text = json.dumps(event) if isinstance(event, Mapping) else event if isinstance(event, str) else event.decode()
        with Path(os.environ["WIRE_FILE"]).open("a") as file:
            file.write(f"{self._number} {text}\n")


_connections = itertools.count()


def scenario(name: str) -> Callable[[Scenario], Scenario]:
    def declare(function: Scenario) -> Scenario:
        _scenarios[name] = function
        return function

    return declare


async def microphone(speech: bytes) -> AsyncIterator[bytes]:
    """`speech` and then silence for ever, 20 ms at a time, each piece when it would have been recorded."""
    started = time.monotonic()
    number = 0
    while True:
        piece = speech[number * PIECE : (number + 1) * PIECE]
        yield piece.ljust(PIECE, b"\0")
        number += 1
        await asyncio.sleep(max(0.0, started + number * PIECE_MS / 1000 - time.monotonic()))


def encoded(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


def seconds(audio: bytes | int) -> float:
    return (audio if isinstance(audio, int) else len(audio)) / 2 / RATE


def run() -> None:
    """Every scenario in the order of its declaration. The exit code is 0 even where some failed: the lines tell."""
    for name, function in _scenarios.items():
        print(*_outcome(name, function), flush=True)
    sys.exit(0)


def _outcome(name: str, function: Scenario) -> tuple[str, str]:
    try:
        return "PASS", f"{name}: {asyncio.run(_limited(function))}"
    except NotApplicable as reason:
        return "NONE", f"{name}: {reason}"
    except Exception as error:
        traceback.print_exc()
        return "FAIL", f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


async def _limited(function: Scenario) -> str:
    async with asyncio.timeout(LIMIT_S):
        return await function()
