"""A client of the Realtime API and its session, without a network and on virtual time: JSON in, JSON out.

async with connected(llm=ScriptedLLM(["Yes."])) as me:
    await me.send("response.create")
    done = await me.until("response.done")

Everything between the socket and the providers is the real thing; `Invariants` watches what comes out.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, get_args

from agents import g711
from agents.audio import Audio
from agents.build import VoiceAgent
from agents.spec import Override
from sessions.cluster.handles import LocalHandle
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.listening import Ears
from sessions.pipeline.live_session import LiveSession
from sessions.pipeline.messages import SessionConfig
from sessions.pipeline.turns import Identity
from sessions.protocols.base import WireMessage
from sessions.protocols.realtime import RealtimeProtocol
from sessions.serving import serve
from tests.invariants import Invariants
from tests.scenario import Kept, detect_here, make_agent

Event = dict[str, Any]


class Client:
    """The client's end. `events` are (seconds, event) in the order they came; `closed` is (code, reason) at the end."""

    ended_by = "client_gone"

    def __init__(self) -> None:
        self.rules = Invariants()
        self.events: list[tuple[float, Event]] = []
        self.closed: tuple[int, str] | None = None
        self.reads_s = 0.0
        self.at = 0.0
        self._inbound: asyncio.Queue[str | None] = asyncio.Queue(64)
        self._news = asyncio.Event()
        self._seen = 0

    # --- what a test does ---

    async def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, **fields}
        self.rules.sent(event)
        await self._inbound.put(json.dumps(event))

    async def update(self, **session: Any) -> Event:
        """A session.update; the session as it is then."""
        await self.send("session.update", session={"type": "realtime", **session})
        shown: Event = (await self.until("session.updated"))["session"]
        return shown

    async def say(self, text: str, item_id: str | None = None, previous: str | None = None) -> None:
        item: Event = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        named = item if item_id is None else {**item, "id": item_id}
        await self.send("conversation.item.create", item=named, previous_item_id=previous, event_id=f"say_{item_id}")

    async def append(self, audio: Audio, law: g711.Law | None = None) -> None:
        """Audio at once, in the session's format; in pieces, as more than 256 KiB would be read on a thread."""
        for piece in audio.split(1_000):
            data = g711.encode(piece.resampled(8_000), law) if law else piece.resampled(24_000).pcm
            await self.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())

    async def respond(self, **response: Any) -> Event:
        """A response.create; the response when it is done."""
        await self.send("response.create", response=response)
        done: Event = (await self.until("response.done"))["response"]
        return done

    async def refused(self, code: str, event_id: str | None = None) -> Event:
        """The next error, which is to have this code."""
        error: Event = (await self.until("error"))["error"]
        assert (error["code"], error["event_id"]) == (code, event_id)
        return error

    async def until(self, kind: str, *, where: Callable[[Event], bool] = lambda _: True, within: float = 60) -> Event:
        """The next event of `kind` not yet waited for; its time is in `at`."""
        async with asyncio.timeout(within):
            while True:
                while self._seen < len(self.events):
                    self.at, event = self.events[self._seen]
                    self._seen += 1
                    if event["type"] == kind and where(event):
                        return event
                self._news.clear()
                await self._news.wait()

    def all(self, kind: str, **fields: object) -> list[Event]:
        return [event for _, event in self.events if event["type"] == kind and fields.items() <= event.items()]

    def kinds(self) -> list[str]:
        return [event["type"] for _, event in self.events]

    def heard(self, law: g711.Law | None = None) -> Audio:
        """All audio that came, as the session's format has it."""
        data = b"".join(base64.b64decode(event["delta"]) for event in self.all("response.output_audio.delta"))
        return g711.decode(data, law) if law else Audio(data, 24_000)

    async def leave(self) -> None:
        await self._inbound.put(None)

    # --- what the server does to it: it is the server's transport ---

    async def __aiter__(self) -> AsyncIterator[str]:
        while (data := await self._inbound.get()) is not None:
            yield data

    async def send_to_client(self, message: WireMessage) -> None:
        event = self.rules.see(str(message))
        self.events.append((asyncio.get_running_loop().time(), dict(event)))
        self._news.set()
        await asyncio.sleep(self.reads_s)


class _Line:
    """The transport that the server sees."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.ended_by = client.ended_by

    def __aiter__(self) -> AsyncIterator[str]:
        return aiter(self._client)

    async def send(self, message: WireMessage) -> None:
        await self._client.send_to_client(message)

    async def close(self, code: int, reason: str = "") -> None:
        self._client.closed = code, reason


@asynccontextmanager
async def connected(
    agent: VoiceAgent | None = None,
    *,
    bounds: Bounds | None = None,
    parts: dict[str, Any] | None = None,
    **protocol: Any,
) -> AsyncIterator[Client]:
    """A client that has read `session.created`. `parts` make the agent, `protocol` are RealtimeProtocol's options."""
    agent = agent or make_agent(**(parts or {}))
    bounds = bounds or Bounds()
    numbers: Counter[str] = Counter()
    counter = itertools.count(1)
    session = LiveSession(
        agent,
        Ears(agent.vad, agent.stt, agent.end_of_turn, detect_here, agent.asks_early, agent.spec.stt.language),
        SessionConfig(),
        identity=Identity("sess_test", "scripted"),
        bounds=bounds,
        journal=Kept(),
        clock=asyncio.get_running_loop().time,
        new_id=lambda prefix: f"{prefix}_{next(counter)}",
    )

    def wire_id(prefix: str) -> str:
        numbers[prefix] += 1
        return f"{prefix}_wire_{numbers[prefix]}"

    options: dict[str, Any] = {"session_id": "sess_test", "allowed": get_args(Override), "new_id": wire_id} | protocol
    codec = RealtimeProtocol(agent.spec, bounds=bounds, **options)
    client = Client()
    async with asyncio.TaskGroup() as group:
        held = group.create_task(session.run())
        handle = LocalHandle(session, held, audio_stall_s=bounds.audio_in_stall_s)
        group.create_task(serve(_Line(client), codec, handle, write_timeout_s=bounds.write_timeout_s))
        await client.until("session.created")
        yield client
        await client.leave()
    assert not client.rules.open or client.closed is None or client.closed[0] == 1013
